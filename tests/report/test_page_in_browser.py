"""The page in a real browser."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Cli, eval_toy

CHROMIUM = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--virtual-time-budget=3000", "--window-size=1200,2000",
]  # fmt: skip


@pytest.mark.system
def test_the_page_loads_without_an_error_and_fetches_visible_videos(
    cli: Cli, tmp_path: Path
) -> None:
    browser = shutil.which("chromium")
    assert browser is not None, "install Debian's chromium, as `make test-system` does for root"
    assert cli(*eval_toy(tmp_path / "run", "episodes=2", "video=all")).returncode == 0
    assert cli("report", "run", "-o", "page").returncode == 0
    done = subprocess.run(
        [browser, *CHROMIUM, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
         (tmp_path / "page" / "index.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert ":CONSOLE" not in done.stderr, done.stderr
    # The script gives a video its source when it comes into view.
    assert ' src="videos/run/toy/reach/' in done.stdout
