"""The page over HTTP on loopback, and the LaTeX through a real TeX."""

import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from sfbench.report.content import Options
from tests.conftest import start_cli
from tests.report.reporting import report_on
from tests.report.test_probe_and_losses import probe_rows, write_probe
from tests.report.test_report import ROOT, played, write_run


def test_serve_shows_the_page_on_loopback(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", played("p", 3, 5))
    process = start_cli("report", str(run), "-o", str(tmp_path / "page"), "--serve")
    assert process.stdout is not None
    line = next(line for line in process.stdout if "http://" in line)
    address = line.split()[3]
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address) as answer:
        assert b"<title>sfbench report</title>" in answer.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 0


@pytest.mark.system
def test_the_latex_compiles(tmp_path: Path) -> None:
    assert shutil.which("pdflatex"), "install Debian's texlive-latex-recommended"
    folders = [
        write_run(tmp_path / f"{index}-{suite}", played(name, k, suite=suite, card=suite))
        for index, (name, k) in enumerate(
            [("a_policy & 50%", 33), ("b#{~^}\\", 12), ("<c>|$", 5), ("d", 1)]
        )
        for suite in ("libero_goal", "libero_10")
    ]
    folders.append(write_probe(tmp_path / "probe", probe_rows("runs/a_b/8000")))
    report_on(folders, tmp_path / "page", Options(ROOT / "results" / "published"))
    (tmp_path / "main.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}"
        "\\input{page/leaderboard.tex}\\end{document}"
    )
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "main.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "main.pdf").stat().st_size > 5000
