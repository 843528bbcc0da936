"""The page in a real browser: Debian's Chromium without a screen."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.conftest import eval_toy, start_cli
from tests.report.test_probe_and_losses import probe_rows, write_metrics, write_probe

pytestmark = pytest.mark.system

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1200,1000",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two policies with videos, a training and a depth probe."""
    folder = tmp_path_factory.mktemp("report")
    given = []
    for policy in ("toy_chase", "random"):
        given.append(policy)
        arguments = eval_toy(folder / policy, "episodes=4", "video=all", policy=policy)
        assert start_cli(*arguments, cwd=folder).wait(timeout=240) == 0
    write_probe(folder / "probe", probe_rows("c"), scenes=2)
    write_metrics(folder / "train", [{"step": i, "loss": 1 / i} for i in range(1, 50)], "sf")
    report = start_cli("report", *given, "probe", "train", "-o", "page", cwd=folder)
    assert report.wait(timeout=240) == 0
    return folder / "page"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program, "install Debian's chromium"
    assert driver, "install Debian's chromium-driver"
    options = ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    chrome = Chrome(options=options, service=Service(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def browser(chromium: Chrome, page: Path) -> Iterator[Chrome]:
    """The page, loaded; after the test its console holds no error."""
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.get("about:blank")
    chromium.get((page / "index.html").as_uri())
    yield chromium
    assert chromium.get_log("browser") == []


def wait_for(condition: Callable[[], Any], timeout_s: float = 60) -> bool:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.05)
    return False


def column(browser: Chrome, index: int) -> list[str]:
    """Texts of a column of the leaderboard, rows that are shown."""
    table = browser.find_element(By.CSS_SELECTOR, "section .table")
    rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
    return [r.find_elements(By.TAG_NAME, "td")[index].text for r in rows if r.is_displayed()]


def heading(browser: Chrome, text: str) -> Any:
    return next(
        button
        for button in browser.find_elements(By.CSS_SELECTOR, "section .table thead button")
        if button.text.startswith(text)
    )


def test_it_asks_for_nothing_from_elsewhere(page: Path) -> None:
    html = (page / "index.html").read_text()
    found = re.findall(r"""(?:src|href|url)\s*=?\s*[("']([^"')]+)""", html)
    assert found
    assert [address for address in found if re.match(r"(https?:)?//", address)] == []


def test_videos_that_are_seen_play(browser: Chrome) -> None:
    browser.execute_script("document.querySelector('.state').scrollIntoView()")
    played = "return document.querySelector('.state video').currentTime > 0"
    assert wait_for(lambda: browser.execute_script(played))
    # Those far below are not even fetched.
    last = "return [...document.querySelectorAll('.state video')].at(-1)"
    far = browser.execute_script(f"{last}.getBoundingClientRect().top > 2 * innerHeight")
    assert not far or browser.execute_script(f"{last}.src") == ""


def test_a_click_on_a_heading_sorts(browser: Chrome) -> None:
    policies = column(browser, 1)
    assert policies == ["toy_chase", "random"]
    heading(browser, "mean %").click()
    assert column(browser, 1) == policies[::-1]
    heading(browser, "mean %").click()
    assert column(browser, 1) == policies
    sort = heading(browser, "mean %").find_element(By.XPATH, "..").get_attribute("aria-sort")
    assert sort == "descending"


def test_typing_filters(browser: Chrome) -> None:
    box = browser.find_element(By.CSS_SELECTOR, "section .table input[type=search]")
    box.send_keys("RAND")
    assert column(browser, 1) == ["random"]
    box.send_keys(Keys.BACKSPACE * 4)
    assert len(column(browser, 1)) == 2


def test_the_keyboard_reaches_everything(browser: Chrome) -> None:
    """From the top by Tab alone: sort by Enter, open a run by its link, pause by Space."""
    seen = []
    browser.execute_script("document.activeElement.blur()")
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        seen.append(active.tag_name + ":" + active.text)
        if active.text.startswith("mean %") and column(browser, 1)[0] == "toy_chase":
            active.send_keys(Keys.ENTER)
            assert column(browser, 1)[0] == "random"
            outline = active.value_of_css_property("outline-style")
            assert outline == "solid"
        if active.get_attribute("class") == "play":
            break
    else:
        pytest.fail(f"no play button among {seen}")
    state = "document.querySelector('.state')"
    before = browser.execute_script(f"return {state}.querySelector('.play').textContent")
    browser.switch_to.active_element.send_keys(Keys.SPACE)
    changed = f"return {state}.querySelector('.play').textContent != '{before}'"
    assert wait_for(lambda: browser.execute_script(changed))


def test_the_protocol_and_command_are_one_click_away(browser: Chrome) -> None:
    link = browser.find_element(By.LINK_TEXT, "toy_chase")
    details = browser.find_element(By.ID, str(link.get_attribute("href")).partition("#")[2])
    assert not details.find_element(By.TAG_NAME, "pre").is_displayed()
    link.click()
    pre = details.find_elements(By.TAG_NAME, "pre")
    assert wait_for(pre[0].is_displayed)
    assert "eval suite=toy policy=toy_chase" in pre[0].text
    assert '"suite": "toy"' in pre[1].text


def test_two_policies_play_side_by_side_in_step(browser: Chrome) -> None:
    for name, value in (("left", "1"), ("right", "0")):
        Select(browser.find_element(By.CSS_SELECTOR, f"select.{name}")).select_by_value(value)
    state = browser.find_element(By.CSS_SELECTOR, ".state")
    browser.execute_script("arguments[0].scrollIntoView()", state)
    shown = [f for f in state.find_elements(By.TAG_NAME, "figure") if f.is_displayed()]
    shown.sort(key=lambda figure: figure.location["x"])
    assert [figure.get_attribute("data-policy") for figure in shown] == ["1", "0"]
    times = (
        "return [...arguments[0].querySelectorAll('video')]"
        ".map(v => [v.currentTime, v.duration, v.paused])"
    )
    assert wait_for(lambda: all(t[0] > 0.2 for t in browser.execute_script(times, state)))
    for _ in range(10):
        one, two = browser.execute_script(times, state)
        if one[0] < one[1] - 0.2 and two[0] < two[1] - 0.2:
            assert abs(one[0] - two[0]) < 0.4
        time.sleep(0.1)
    # Seeking moves both, and stops them.
    browser.execute_script(
        "const s = arguments[0].querySelector('.seek'); s.value = 0.5;"
        "s.dispatchEvent(new Event('input'))", state,
    )  # fmt: skip
    at_half = lambda: all(  # noqa: E731
        abs(t[0] - min(0.5, t[1])) < 0.1 and t[2] for t in browser.execute_script(times, state)
    )
    assert wait_for(at_half)
    # Without a second policy only the first is left.
    Select(browser.find_element(By.CSS_SELECTOR, "select.right")).select_by_value("")
    assert sum(f.is_displayed() for f in state.find_elements(By.TAG_NAME, "figure")) == 1


def test_videos_are_chosen_by_how_they_ended(browser: Chrome) -> None:
    everything = len(browser.find_elements(By.CSS_SELECTOR, ".state:not([hidden])"))
    Select(browser.find_element(By.CSS_SELECTOR, "select.status")).select_by_visible_text("failure")
    with_failure = browser.find_elements(By.CSS_SELECTOR, ".state:not([hidden])")
    assert 0 < len(with_failure) <= everything
    for state in with_failure:
        assert state.find_elements(By.CSS_SELECTOR, "figure.failure")
    Select(browser.find_element(By.CSS_SELECTOR, "select.status")).select_by_visible_text("invalid")
    assert browser.find_elements(By.CSS_SELECTOR, ".state:not([hidden])") == []


def luminance(text: str) -> float:
    """Relative luminance of a CSS colour, as WCAG 2 defines it."""
    shares = [float(part) / 255 for part in re.findall(r"[\d.]+", text)[:3]]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(browser: Chrome, selector: str) -> float:
    colours = browser.execute_script(
        "const e = document.querySelector(arguments[0]);"
        "return [getComputedStyle(e).color, getComputedStyle(document.body).backgroundColor]",
        selector,
    )
    low, high = sorted(luminance(colour) for colour in colours)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(browser: Chrome, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    back = lambda: luminance(  # noqa: E731
        browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    )
    assert (back() > 0.5) == (scheme == "light")
    for selector in ("h1", ".note", "td", "td a", "thead button", "figcaption"):
        assert contrast(browser, selector) >= 4.5, selector
    browser.find_element(By.ID, "theme").click()
    assert (back() > 0.5) == (scheme == "dark")


@pytest.mark.parametrize("width", [360, 768])
def test_a_phone_needs_no_sideways_scrolling(browser: Chrome, width: int) -> None:
    size = {"width": width, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return innerWidth") == width


def test_points_of_figures_say_their_numbers(browser: Chrome) -> None:
    titles = browser.execute_script(
        "return [...document.querySelectorAll('.figure svg title')].map(t => t.textContent)"
    )
    assert any(re.match(r"toy_chase: [\d.]+ % \([\d.]+ to [\d.]+\)", title) for title in titles)
    assert any("layer 10, dpt: absrel" in title for title in titles)
    assert any("train: loss" in title for title in titles)


def test_it_works_the_same_when_served(chromium: Chrome, page: Path) -> None:
    process: subprocess.Popen[str] = start_cli(
        "report", "toy_chase", "-o", "served", "--serve", cwd=page.parent
    )
    assert process.stdout is not None
    address = next(line for line in process.stdout if "http://" in line).split()[3]
    chromium.get(address)
    chromium.execute_script("document.querySelector('.state').scrollIntoView()")
    video = "document.querySelector('.state video')"
    assert wait_for(lambda: chromium.execute_script(f"return {video}.duration > 0"))
    # A seek needs byte ranges.
    chromium.execute_script(f"{video}.pause(); {video}.currentTime = {video}.duration / 2")
    assert wait_for(
        lambda: chromium.execute_script(
            f"return !{video}.seeking && Math.abs({video}.currentTime - {video}.duration / 2) < .2"
        )
    )
    assert chromium.get_log("browser") == []
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 0
