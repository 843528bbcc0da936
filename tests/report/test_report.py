"""Tables and page say what the rows say, in every format and whatever the order of files."""

import csv
import io
import json
import random
import re
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest

from sfbench.contracts import Cause, EpisodeRow, Status
from sfbench.errors import RunFolderError, UsageError
from sfbench.report.content import Options
from sfbench.report.entries import final_entries, make_entries
from sfbench.report.load import load
from sfbench.report.published import read_published
from sfbench.report.tables import HEADINGS, leaderboard_csv, make_sections, pairs_csv, tasks_csv
from sfbench.report.tally import tally_rows
from tests.conftest import Cli, eval_toy
from tests.report.reporting import report_on
from tests.rollout.test_plan_and_journal import make_row

ROOT = Path(__file__).parents[2]


def rows_of_all_kinds() -> list[EpisodeRow]:
    kinds: list[tuple[Status, Cause | None, int]] = [
        (Status.SUCCESS, None, 6), (Status.FAILURE, None, 2), (Status.ERROR, Cause.POLICY, 1),
        (Status.ERROR, Cause.SYSTEM, 3), (Status.INVALID, None, 1),
    ]  # fmt: skip
    statuses = [(status, cause) for status, cause, count in kinds for _ in range(count)]
    return [make_row(i, status=status, cause=cause) for i, (status, cause) in enumerate(statuses)]


def played(policy: str, successes: int, n: int = 50, **changes: object) -> list[EpisodeRow]:
    """Rows of one policy, solved in the first states."""
    return [
        make_row(
            i, policy=policy, status=Status.SUCCESS if i < successes else Status.FAILURE, **changes
        )
        for i in range(n)
    ]


def write_run(folder: Path, rows: list[EpisodeRow], shards: int = 1) -> Path:
    (folder / "episodes").mkdir(parents=True)
    for shard in range(shards):
        text = "".join(json.dumps(row.to_json()) + "\n" for row in rows[shard::shards])
        (folder / "episodes" / f"{shard}-of-{shards}.jsonl").write_text(text)
    (folder / "plan.json").write_text(json.dumps({"episodes": []}))
    (folder / "card.json").write_text(json.dumps({"env": {}, "policy": {}}))
    return folder


def test_errors_and_invalid_episodes_are_beside_never_inside() -> None:
    counts = tally_rows(rows_of_all_kinds())
    assert (counts.rate.successes, counts.rate.n) == (6, 8)
    assert (counts.policy_errors, counts.system_errors, counts.invalid) == (1, 3, 1)
    assert not counts.complete
    assert not counts.publishable
    # 13 episodes, 3 of them lost to the system: 6 of 10.
    assert (counts.strict.successes, counts.strict.n) == (6, 10)


def test_a_policy_gains_nothing_by_breaking(tmp_path: Path) -> None:
    """60 solved of 60, and 40 errors of its own, is 60 %, below an honest 70 %."""
    broken = [
        make_row(i, policy="broken", status=Status.SUCCESS)
        if i < 60
        else make_row(i, policy="broken", status=Status.ERROR, cause=Cause.POLICY)
        for i in range(100)
    ]
    folders = [
        write_run(tmp_path / "broken", broken),
        write_run(tmp_path / "honest", played("honest", 70, 100)),
    ]
    entries = make_entries(load(folders))
    assert [entry.label for entry in entries] == ["honest", "broken"]
    assert entries[1].mean is not None
    assert entries[1].mean.value == pytest.approx(0.6)


def test_tables_do_not_depend_on_the_order_of_files(tmp_path: Path) -> None:
    rows = rows_of_all_kinds() + [make_row(i, task="push") for i in range(20)]
    shuffled = rows.copy()
    random.Random(0).shuffle(shuffled)
    texts = []
    for name, some, shards in (("one", rows, 1), ("two", shuffled, 7)):
        run = write_run(tmp_path / name / "run", some, shards)
        out = tmp_path / name / "page"
        report_on([run], out, Options(ROOT / "results" / "published"))
        texts.append({path.name: path.read_bytes() for path in out.iterdir() if path.is_file()})
    assert texts[0].keys() >= {"leaderboard.md", "leaderboard.tex", "index.html", "pairs.csv"}
    assert texts[0] == texts[1]


def test_rows_of_different_cards_are_tables_of_their_own(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / card, [make_row(0, card=card), make_row(1, card=card)])
        for card in ("x", "y")
    ]
    assert [section.card for section in make_sections(make_entries(load(folders)))] == ["x", "y"]


@pytest.mark.parametrize("where", ["two runs", "two shards"])
def test_an_episode_that_stands_twice_is_refused(tmp_path: Path, where: str) -> None:
    if where == "two runs":
        folders = [write_run(tmp_path / name, [make_row(0)]) for name in ("a", "b")]
    else:
        folders = [write_run(tmp_path / "a", [make_row(0), make_row(0)], shards=2)]
    with pytest.raises(
        RunFolderError,
        match=r"stands twice: .*/a/episodes/0-of-\d.jsonl, line 1 and .*-of-\d.jsonl, line 1;",
    ):
        load(folders)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ('{"schema"', "line 2: the last row is incomplete"),
        ('{"schema": 1}\n', "line 2: not an episode row"),
        ("nonsense\n", "line 2: not an episode row"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, tail: str, message: str) -> None:
    run = write_run(tmp_path / "run", [make_row(0)])
    with (run / "episodes" / "0-of-1.jsonl").open("a") as file:
        file.write(tail)
    with pytest.raises(RunFolderError, match=rf"0-of-1\.jsonl, {message}"):
        load([run])


def test_a_later_schema_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [make_row(0)])
    path = run / "episodes" / "0-of-1.jsonl"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(RunFolderError, match="line 1: not an episode row"):
        load([run])


def test_zero_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no episode rows"):
        load([write_run(tmp_path / "run", [])])


def test_ranks_follow_corrected_comparisons(tmp_path: Path) -> None:
    shares = {"best": 48, "good": 46, "poor": 20, "worst": 2}
    folders = [write_run(tmp_path / name, played(name, k)) for name, k in shares.items()]
    (section,) = make_sections(make_entries(load(folders)))
    ranks = {entry.label: section.rank[id(entry)] for entry in section.entries}
    assert ranks == {"best": 1, "good": 1, "poor": 3, "worst": 4}
    lines = list(csv.DictReader(io.StringIO(pairs_csv([section]))))
    assert len(lines) == 6
    first = lines[0]
    assert (first["first"], first["second"], first["shared"]) == ("best", "good", "50")
    assert (first["first_only"], first["second_only"], first["decided"]) == ("2", "0", "false")


def test_training_seeds_are_one_line_and_widen_it(tmp_path: Path) -> None:
    def of_seed(seed: int, successes: int) -> list[EpisodeRow]:
        trained = {"recipe": "r", "train_seed": seed, "train_step": 100, "demos": 10}
        return played("net", successes, checkpoint=f"ckpt{seed}", arm="sf", **trained)

    spread = [of_seed(0, 20), of_seed(1, 30), of_seed(2, 40)]
    folders = [write_run(tmp_path / str(i), rows) for i, rows in enumerate(spread)]
    (entry,) = make_entries(load(folders))
    assert entry.label == "net sf 10 demos @100"
    assert len(entry.seeds) == 3
    assert entry.mean is not None
    assert entry.mean.value == pytest.approx(0.6)
    # Student's interval over (0.4, 0.6, 0.8) has half width 4.303 * 0.2 / sqrt(3).
    assert entry.mean.low == pytest.approx(0.6 - 4.303 * 0.2 / 3**0.5, abs=1e-3)


def test_one_training_under_two_names_is_refused(tmp_path: Path) -> None:
    trained = {"arm": "sf", "recipe": "r", "train_seed": 0, "train_step": 100, "demos": 10}
    folders = [
        write_run(tmp_path / name, played("net", 20, checkpoint=name, **trained))
        for name in ("one", "other")
    ]
    with pytest.raises(UsageError, match="stand twice, of one, other; leave one out"):
        make_entries(load(folders))


def test_only_the_last_step_is_ranked(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / str(step), played("net", k, recipe="r", train_seed=0, train_step=step))
        for step, k in ((100, 45), (200, 40))
    ]
    (entry,) = final_entries(make_entries(load(folders)))
    assert entry.key.train_step == 200


def test_leaks_are_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [make_row(0, leak=True), make_row(1)])
    report_on([run], tmp_path / "page", Options(tmp_path))
    assert "LEAK" in (tmp_path / "page" / "leaderboard.md").read_text()


def table_in_markdown(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def table_in_latex(text: str) -> list[list[str]]:
    body = text.split(r"\midrule")[1].split(r"\bottomrule", maxsplit=1)[0].replace(r"\%", "%")
    rows = [line.strip().removesuffix(r"\\") for line in body.strip().splitlines()]
    return [[cell.strip().replace("\\_", "_") for cell in row.split(" & ")] for row in rows]


def table_in_html(text: str) -> list[list[str]]:
    body = re.findall(r"<tbody>(.*?)</tbody>", text, re.DOTALL)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    cells = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in row] for row in cells]


def test_all_four_formats_show_the_same_figures(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / "a_policy", played("a_policy", 33)),
        write_run(tmp_path / "b & c", played("b & c", 12) + rows_of_all_kinds()[:0]),
    ]
    report_on(folders, tmp_path / "page", Options(tmp_path))
    page = tmp_path / "page"
    markdown = table_in_markdown((page / "leaderboard.md").read_text())
    assert markdown[0] == list(HEADINGS)
    lines = markdown[1:3]
    assert [line[1] for line in lines] == ["a_policy", "b & c"]
    latex = (page / "leaderboard.tex").read_text().replace(r"\&", "&AMP")
    found = [[c.replace("&AMP", "&") for c in row] for row in table_in_latex(latex)]
    assert found == lines
    assert table_in_html((page / "index.html").read_text()) == lines
    for line, row in zip(lines, csv.DictReader((page / "leaderboard.csv").open()), strict=True):
        assert [row["rank"], row["mean_pct"]] == [line[0], line[2]]
        assert f"{row['low_pct']} to {row['high_pct']}" == line[3]
        assert f"{row['n']} / {row['planned']}" == line[5]


def test_published_numbers_are_read_and_checked(tmp_path: Path) -> None:
    shipped = read_published(ROOT / "results" / "published", ["libero_spatial"])
    assert {row.suite for row in shipped.rows} == {"libero_spatial", "libero"}
    assert all(row.source and row.where_in_source for row in shipped.rows)
    (tmp_path / "x.csv").write_text(
        "method,suite,task,success_pct,n,source,where_in_source,protocol\nA,toy,mean,120,5,s,t,p\n"
    )
    with pytest.raises(ValueError, match=r"x\.csv, line 2"):
        read_published(tmp_path, ["toy"])


def test_report_folder_of_real_runs(cli: Cli, tmp_path: Path) -> None:
    folders = []
    for policy in ("toy_chase", "random"):
        out = tmp_path / policy
        assert cli(*eval_toy(out, "episodes=2", "video=all", policy=policy)).returncode == 0
        # An address has to quote this name.
        folders.append(str(out.rename(tmp_path / f"{policy} #1")))
    done = cli("report", *folders, "-o", "page")
    assert done.returncode == 0, done.stderr
    page = tmp_path / "page"
    html = (page / "index.html").read_text()
    lines = list(csv.DictReader((page / "leaderboard.csv").open()))
    assert [line["policy"] for line in lines] == ["toy_chase", "random"]
    assert [line["planned"] for line in lines] == ["4", "4"]
    assert "sfbench eval suite=toy policy=toy_chase" in html
    assert (page / "mosaic.mp4").read_bytes()[4:8] == b"ftyp"
    assert len(list((page / "figures" / "frames").rglob("*.png"))) == 8
    videos = sorted(path.relative_to(page).as_posix() for path in page.glob("videos/**/*.mp4"))
    assert len(videos) == 8
    for video in videos:
        assert f"data-src='{quote(video)}'" in html
        assert (page / video).read_bytes()[4:8] == b"ftyp"


def test_csv_of_tasks_recomputes(tmp_path: Path) -> None:
    entries = make_entries(load([write_run(tmp_path / "run", rows_of_all_kinds())]))
    line = next(csv.DictReader(io.StringIO(tasks_csv(entries))))
    assert (line["successes"], line["n"], line["success_pct"]) == ("6", "8", "75.0")
    assert "mean_pct" in leaderboard_csv(make_sections(entries))
