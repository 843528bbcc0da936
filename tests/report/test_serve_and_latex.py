"""The page over HTTP on loopback, and the LaTeX through a real TeX."""

import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from sfbench.report.write import Options, write_report
from tests.conftest import start_cli
from tests.report.test_report import played, write_run


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
    assert process.wait(timeout=20) == 0


@pytest.mark.system
def test_the_latex_compiles(tmp_path: Path) -> None:
    assert shutil.which("pdflatex"), "install Debian's texlive-latex-recommended"
    folders = [
        write_run(tmp_path / "a", played("a_policy & 50%", 33)),
        write_run(tmp_path / "b", played("b#{~^}\\", 12)),
    ]
    write_report(folders, tmp_path / "page", Options(tmp_path))
    (tmp_path / "main.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}"
        "\\input{page/leaderboard.tex}\\end{document}"
    )
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "main.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "main.pdf").stat().st_size > 5000
