"""Pages whose tables and numbers come from rows, stored or in run folders."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from sfbench.cli.main import run
from sfbench.errors import RunFolderError, UsageError
from sfbench.report.content import Content, Options, read_content
from sfbench.report.document import markdown
from sfbench.report.filling.marks import find_blocks
from sfbench.report.filling.page import fill_page, first_outdated
from sfbench.report.stored import write_stored
from sfbench.report.training import Matching
from tests.report.simulated_study import (
    CARD,
    DATA_STEP,
    DEMOS,
    EPISODES,
    SEEDS,
    STEPS,
    TASKS,
    TRUE_RATIO,
    write_cell,
    write_study,
)
from tests.report.test_probe_and_losses import probe_rows, write_probe

ROOT = Path(__file__).parents[2]
RATIO = re.compile(r"^(?:(at least|at most) )?([\d.]+) \(([\d.]+) to ([\d.]+|inf)\)$")
PAGE = """# A study

Text that stays: 12 %, <!-- a comment -->, `code`.

<!-- sfbench: leaderboard arm=sf,baseline demos=200 -->
<!-- end -->

With SF <!-- sfbench: value success arm=sf -->?<!-- end --> of
<!-- sfbench: value episodes arm=sf -->?<!-- end --> episodes were solved, and
<!-- sfbench: value speed-up arm=sf over=baseline level=50 -->3.8<!-- end --> times
as soon.\r
\t
<!-- sfbench: ratios kind=demos -->
stale
<!-- end -->
No newline at the end."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_study(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def content(folders: list[Path]) -> Content:
    return read_content(folders, Options(ROOT / "absent"))


@pytest.fixture(scope="module")
def stored(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    write_stored(content.loaded.rows, content.loaded.runs, folder)
    return folder


def value(words: str, content: Content, folder: Path) -> str:
    """What a block comes to hold."""
    page = folder / "value.md"
    page.write_text(f"x <!-- sfbench: {words} -->?<!-- end -->\n")
    fill_page(page, content)
    (block,) = find_blocks(page.read_text())
    return block.body


def ratio(words: str, content: Content, folder: Path) -> tuple[str, float, float, float]:
    """How it is to be read, value, low, high."""
    found = RATIO.match(text := value(words, content, folder))
    assert found, text
    low, high = float(found[3]), float(found[4])
    return found[1] or "", float(found[2]), low, high


def test_blocks_are_rewritten_and_nothing_else(content: Content, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, newline="")
    assert fill_page(page, content) == 5
    text = page.read_bytes().decode()
    marks = r"(<!-- sfbench:.*?-->).*?(<!-- end -->)"
    bare = [re.sub(marks, r"\1\2", some, flags=re.DOTALL) for some in (text, PAGE)]
    assert bare[0] == bare[1]
    assert "?" not in text
    assert "stale" not in text
    n = len(TASKS) * len(SEEDS) * EPISODES
    assert f"-->{n}<!-- end -->" in text
    # The leaderboard holds what the report's does.
    lines = [line for line in markdown(content.document).splitlines() if "200 demos @4000" in line]
    kept = [line for line in lines if " slow " not in line and line.startswith(("| 1 ", "| 2 "))]
    assert len(kept) == 2
    for line in kept:
        assert line in text.splitlines()
    assert " slow " not in text
    assert first_outdated(page, content) is None
    before = page.stat().st_mtime_ns
    fill_page(page, content)
    assert page.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("key", "truth"),
    [
        ("speed-up arm=sf over=baseline level=50", TRUE_RATIO),
        ("speed-up arm=sf over=baseline", None),
        ("speed-up arm=baseline over=sf level=50", 1 / TRUE_RATIO),
        ("data-saving arm=sf over=baseline level=50", TRUE_RATIO),
    ],
)
def test_ratios_hold_the_truth(
    content: Content, tmp_path: Path, key: str, truth: float | None
) -> None:
    bound, found, low, high = ratio(f"value {key}", content, tmp_path)
    assert bound == ""
    assert low < found < high
    if truth is None:  # Near the ceiling a level is met late and loosely.
        assert found > 1
    else:
        assert low <= truth <= high
        assert (low > 1) == (truth > 1)


def test_an_arm_that_never_arrives_leaves_a_bound(content: Content, tmp_path: Path) -> None:
    bound, _, low, high = ratio("value speed-up arm=slow over=sf level=50", content, tmp_path)
    assert (bound, low) == ("at most", 0)
    assert high < 1
    bound, found, low, high = ratio("value speed-up arm=sf over=slow level=50", content, tmp_path)
    assert (bound, high) == ("at least", float("inf"))
    # sf is at 50 % after 608 steps in truth, slow not after 4,000.
    assert low < found < STEPS[-1] / 500
    assert low > 1
    needed = value("value steps-needed arm=slow level=50", content, tmp_path)
    assert needed == f"more than {STEPS[-1]}"
    assert 450 < float(value("value steps-needed arm=sf level=50", content, tmp_path)) < 800


def test_data_curves_are_of_one_training_step(content: Content, folders: list[Path]) -> None:
    """All demonstrations were trained on for longer; their kept step at DATA_STEP is the point."""
    (group,) = content.curves["data_efficiency"]
    places = {(entry.key.arm, entry.key.demos, entry.key.train_step) for entry in group.entries}
    expected = {(arm, demos, DATA_STEP) for arm in ("baseline", "sf") for demos in DEMOS}
    assert places == expected | {("slow", DEMOS[-1], DATA_STEP)}
    assert {found.train_seeds for found in group.ratios} == {(3, 3)}
    later = Options(ROOT / "absent", Matching(data_step=STEPS[-1]))
    # At that step there are no smaller subsets, so there is no curve.
    assert read_content(folders, later).curves["data_efficiency"] == []


def test_stored_rows_say_the_same(content: Content, stored: Path, tmp_path: Path) -> None:
    again = read_content([stored], Options(ROOT / "absent"))
    assert markdown(again.document) == markdown(content.document)
    assert [run.card.hash for run in again.loaded.runs] == [CARD.hash] * len(content.loaded.runs)
    write_stored(again.loaded.rows, again.loaded.runs, tmp_path)
    for path in stored.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_stored_rows_come_in_parts(folders: list[Path], content: Content, tmp_path: Path) -> None:
    """A study's rows are committed as its cells are finished."""
    parts = []
    for number in range(2):
        some = read_content(folders[number::2], Options(ROOT / "absent"))
        write_stored(some.loaded.rows, some.loaded.runs, tmp_path / str(number))
        parts.append(tmp_path / str(number))
    again = read_content(parts, Options(ROOT / "absent"))
    assert markdown(again.document) == markdown(content.document)
    with pytest.raises(RunFolderError, match=r"twice: .*parquet, row 1 and .*parquet, row 1"):
        read_content([parts[0], _copied(parts[0], tmp_path / "copy")], Options(tmp_path))


def _copied(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_a_changed_row_fails_the_check(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, rows = tmp_path / "page.md", _copied(stored, tmp_path / "rows")
    page.write_text(PAGE, newline="")
    assert run(["report", str(rows), f"fill={page}"]) == 0
    assert run(["report", str(rows), f"check={page}"]) == 0
    before = page.read_bytes()
    frame = pd.read_parquet(rows / "episodes.parquet")
    chosen = (frame["arm"] == "sf") & (frame["train_step"] == STEPS[-1])
    changed = frame[chosen & (frame["status"] == "failure")].index[0]
    frame.loc[changed, "status"] = "success"
    frame.to_parquet(rows / "episodes.parquet")
    capsys.readouterr()
    assert run(["report", str(rows), f"check={page}"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{page}, line 5, 'leaderboard arm=sf,baseline demos=200': the page has")
    assert "the rows give" in said
    assert page.read_bytes() == before
    # Several pages, and a page of which only a later number is stale.
    page.write_text("<!-- sfbench: value seeds arm=sf -->3<!-- end --> and "
                    "<!-- sfbench: value success arm=sf task=lift -->7 %<!-- end -->")  # fmt: skip
    assert run(["report", str(rows), f"check={page}"]) == 1
    said = capsys.readouterr().err
    asked = "'value success arm=sf task=lift': "
    assert re.search(asked + r"the page has\n7 %\nthe rows give\n\S+ % \(", said)


def test_numbers_of_a_sentence(content: Content, tmp_path: Path) -> None:
    gain = value("value gain arm=sf over=baseline step=1000", content, tmp_path)
    found = re.fullmatch(r"\+([\d.]+) points \(([-\d.]+) to ([\d.]+)\)", gain)
    assert found
    assert float(found[2]) < float(found[1]) < float(found[3])
    loss = value("value gain arm=baseline over=sf step=1000", content, tmp_path)
    assert re.fullmatch(rf"-{found[1]} points \(-{found[3]} to (-?){found[2].lstrip('-')}\)", loss)
    # The smaller subset, one task: three trainings of 50 episodes.
    words = "arm=baseline demos=10 task=push"
    assert value(f"value episodes {words}", content, tmp_path) == str(len(SEEDS) * EPISODES)
    shares = [
        float(value(f"value success arm=sf {some}", content, tmp_path).partition(" %")[0])
        for some in ("step=250", "step=1000", "", "task=lift")
    ]
    assert shares[0] < shares[1] < shares[2]
    low, _, high = (
        value("value success arm=sf", content, tmp_path).partition("(")[2][:-1].partition(" to ")
    )
    assert float(low) < shares[2] < float(high)


def test_files_of_the_study_are_tables_too(content: Content, tmp_path: Path) -> None:
    (tmp_path / "costs.csv").write_text("arm,hours,machine\nsf,1.5,gpu\nbaseline,1.25,gpu\n")
    table = value("csv file=costs.csv columns=arm,hours", content, tmp_path)
    assert "| sf | 1.5 |" in table
    assert "gpu" not in table
    words = "value cell file=costs.csv row=baseline column=hours"
    assert value(words, content, tmp_path) == "1.25"


def test_depth_probes_fill_blocks(tmp_path: Path) -> None:
    folder = write_probe(tmp_path / "probe", probe_rows("runs/sf/checkpoints/80"), scenes=3)
    content = read_content([folder], Options(tmp_path))
    probe = content.document.probes
    assert probe is not None
    key = probe.groups[0].key
    words = f"layer={key.layer} head={key.head} split={key.split}"
    number = value(f"value depth metric=absrel {words}", content, tmp_path)
    assert f"{probe.groups[0].metrics['absrel'].value:.3f} (" in number
    assert value(f"probe {words}", content, tmp_path).count("\n| ") == 2
    with pytest.raises(UsageError, match=r"unknown layer 'x'.* Valid: "):
        value("probe layer=x", content, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n<!-- sfbench: leaderboard -->\n", r"page.md, line 2: .* has no end"),
        (
            "<!-- sfbench: curves -->\n<!-- sfbench: tasks --><!-- end -->",
            r"line 1: <!-- sfbench: curves --> has no end",
        ),
        ("\n\n<!-- end -->", r"line 3: an <!-- end --> without a block"),
        ("nothing", "has no block to fill"),
        ("<!-- sfbench: leaderbord --><!-- end -->", r"Did you mean 'leaderboard'\?.*Valid: .*csv"),
        ("<!-- sfbench: value sucess --><!-- end -->", r"Did you mean 'success'\?"),
        ("<!-- sfbench: curves arms=sf --><!-- end -->", r"unknown option 'arms'.*'arm'\?"),
        ("<!-- sfbench: curves arm=fs --><!-- end -->", r"unknown arm 'fs'.*Valid: baseline, sf"),
        ("<!-- sfbench: curves arm=sf arm=slow --><!-- end -->", "arm= is given twice"),
        ("<!-- sfbench: value success --><!-- end -->", r"3 lines .*Say which by suite, card"),
        ("<!-- sfbench: value success arm=sf task=lit --><!-- end -->", r"'lift'\?"),
        ("<!-- sfbench: value success arm=sf step=2001 --><!-- end -->", r"unknown step '2001'"),
        ("<!-- sfbench: value success arm=slow demos=10 --><!-- end -->", "no lines .* are meant"),
        ("<!-- sfbench: value speed-up arm=sf --><!-- end -->", "over= is missing"),
        ("<!-- sfbench: value speed-up arm=sf over=sf level=2x --><!-- end -->", "level=2x"),
        (
            "<!-- sfbench: value data-saving arm=slow over=sf --><!-- end -->",
            "unknown curve of two points or more 'slow'.*Valid: baseline, sf",
        ),
        ("<!-- sfbench: ratios kind=step --><!-- end -->", r"unknown value of kind 'step'"),
        ("<!-- sfbench: probe --><!-- end -->", "no line of this table"),
        ("<!-- sfbench: csv file=no.csv --><!-- end -->", "there is no file"),
        ("<!-- sfbench: csv --><!-- end -->", "file= is missing"),
    ],
)
def test_a_mark_that_cannot_be_answered(
    content: Content, tmp_path: Path, text: str, message: str
) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(UsageError, match=f"(?s){message}"):
        fill_page(page, content)
    assert page.read_text() == text


def test_marks_in_code_are_text() -> None:
    text = "```\n<!-- sfbench: curves -->\n```\n<!-- sfbench: tasks -->x<!-- end -->\n"
    assert [(block.words, block.line) for block in find_blocks(text)] == [("tasks", 4)]


def test_rows_of_the_scripted_policies_are_read_with_their_card() -> None:
    """They were stored beside one card, before runs had a file of their own."""
    folder = ROOT / "results" / "reference" / "robotwin_scripted"
    content = read_content([folder], Options(ROOT / "absent"))
    (section,) = content.document.sections
    counts = {e.label: (e.total.rate.successes, e.total.planned) for e in section.entries}
    assert counts == {"expert": (2300, 2300), "noop": (0, 2300), "random": (0, 2300)}
    assert section.card == json.loads((folder / "card.json").read_text())["hash"]


@pytest.mark.parametrize(
    ("column", "bad", "message"),
    [
        ("status", "sucess", r"row 3: status 'sucess'; allowed"),
        ("schema", 2, r"row 3: schema 2; allowed"),
        ("task", None, r"row 3: task is missing"),
    ],
)
def test_damaged_stored_rows_are_named(
    stored: Path, tmp_path: Path, column: str, bad: object, message: str
) -> None:
    frame = pd.read_parquet(stored / "episodes.parquet")
    frame.loc[2, column] = bad
    frame.to_parquet(tmp_path / "episodes.parquet")
    with pytest.raises(RunFolderError, match=rf"episodes\.parquet, {message}"):
        read_content([tmp_path], Options(tmp_path))


def test_stored_rows_without_their_protocol_are_refused(stored: Path, tmp_path: Path) -> None:
    (tmp_path / "episodes.parquet").write_bytes((stored / "episodes.parquet").read_bytes())
    with pytest.raises(RunFolderError, match=r"neither runs\.json .* nor card\.json"):
        read_content([tmp_path], Options(tmp_path))
    (tmp_path / "runs.json").write_text('{"env": {}, "runs": []}')
    with pytest.raises(RunFolderError, match=r"runs 0 to \d+, runs\.json has 0"):
        read_content([tmp_path], Options(tmp_path))
    frame = pd.read_parquet(stored / "episodes.parquet")
    frame.drop(columns=["task"]).to_parquet(tmp_path / "episodes.parquet")
    with pytest.raises(RunFolderError, match="missing or unknown columns: task"):
        read_content([tmp_path], Options(tmp_path))


def test_rows_alone_are_stored_by_the_command(folders: list[Path], tmp_path: Path) -> None:
    texts = [str(folder) for folder in folders]
    assert run(["report", *texts, f"rows={tmp_path / 'rows'}"]) == 0
    assert {p.name for p in (tmp_path / "rows").iterdir()} == {"episodes.parquet", "runs.json"}
    assert run(["report", *texts]) == 2


def test_paths_of_this_machine_are_left_out(tmp_path: Path) -> None:
    run_folder = write_cell(tmp_path / "study", "sf", 0, STEPS[0], DEMOS[0])
    for path in (run_folder / "card.json", run_folder / "episodes" / "0-of-1.jsonl"):
        path.write_text(path.read_text().replace("sf-0", f"{tmp_path}/study/sf-0"))
    rows = tmp_path / "rows"
    assert run(["report", str(run_folder), f"rows={rows}", f"root={tmp_path}"]) == 0
    frame = pd.read_parquet(rows / "episodes.parquet")
    assert set(frame["checkpoint"]) == {f"study/sf-0-{DEMOS[0]}/{STEPS[0]}"}
    assert str(tmp_path) not in (rows / "runs.json").read_text()
