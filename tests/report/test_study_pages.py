"""The study's page and the shipped weights' cards say what the committed rows say."""

import re
from pathlib import Path

import pytest

from sfbench.cli.main import run

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results" / "reference" / "spatial_forcing"
PAGES = (
    "docs/study.md",
    *(f"policies/weights/{arm}/README.md" for arm in ("baseline", "sf_vggt_mini")),
)
GIVEN = [str(REFERENCE / name) for name in ("arms", "control", "data", "again", "clean", "extra")]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_as_the_rows_say(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", *GIVEN, f"check={ROOT / page}"]) == 0, capsys.readouterr().err


def test_the_same_training_from_other_start_weights(capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(REFERENCE / name) for name in ("data", "earlier_start")]
    assert run(["report", *given, f"check={REFERENCE / 'README.md'}"]) == 0, capsys.readouterr().err


def test_a_block_that_is_not_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check can fail."""
    page = tmp_path / "page.md"
    text = (ROOT / PAGES[1]).read_text(encoding="utf-8")
    page.write_text(re.sub(r"(\d+) of 100", r"99 of 100", text, count=1), encoding="utf-8")
    assert run(["report", *GIVEN, f"check={page}"]) == 1
    assert "99 of 100" in capsys.readouterr().err


def test_no_result_stands_outside_the_blocks() -> None:
    """Rates, differences and ratios are written by the report alone."""
    text = (ROOT / PAGES[0]).read_text(encoding="utf-8")
    _, summary, rest = re.split(r"^## In short\n|^## What is compared\n", text, flags=re.MULTILINE)
    results = summary + rest[rest.index("## Success\n") :]
    prose = re.sub(r"<!-- sfbench:.*?<!-- end -->", "", results, flags=re.DOTALL)
    assert not re.findall(r"\d+(?:\.\d+)? ?(?:%|points|x\b|times)|\d+\.\d+", prose)
