"""The page in a real browser."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.conftest import Cli, eval_toy

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1200,1000",
)  # fmt: skip


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """Debian's Chromium without a screen."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program, "install Debian's chromium"
    assert driver, "install Debian's chromium-driver"
    options = ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for option in (*OPTIONS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(option)
    chrome = Chrome(options=options, service=Service(driver))
    yield chrome
    chrome.quit()


@pytest.mark.system
def test_the_page_loads_without_an_error_and_plays_visible_videos(
    cli: Cli, tmp_path: Path, browser: Chrome
) -> None:
    assert cli(*eval_toy(tmp_path / "run", "episodes=4", "video=all")).returncode == 0
    assert cli("report", "run", "-o", "page").returncode == 0
    browser.get((tmp_path / "page" / "index.html").as_uri())
    browser.execute_script("document.querySelector('video').scrollIntoView()")
    played_s = 0.0
    for _ in range(50):
        time.sleep(0.1)
        played_s = browser.execute_script("return document.querySelector('video').currentTime")
        if played_s > 0:
            break
    assert played_s > 0
    assert browser.get_log("browser") == []
