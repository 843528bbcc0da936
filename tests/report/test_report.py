"""Tables and page say what the rows say."""

import csv
import io
import json
from pathlib import Path

import pytest

from sfbench.contracts import Cause, EpisodeRow, Status
from sfbench.report.groups import tally
from sfbench.report.load import load_run, pool_runs
from sfbench.report.tables import leaderboard_csv, tasks_csv
from tests.conftest import Cli, eval_toy
from tests.rollout.test_plan_and_journal import make_row


def rows_of_all_kinds() -> list[EpisodeRow]:
    kinds: list[tuple[Status, Cause | None, int]] = [
        (Status.SUCCESS, None, 6), (Status.FAILURE, None, 2), (Status.ERROR, Cause.POLICY, 1),
        (Status.ERROR, Cause.SYSTEM, 3), (Status.INVALID, None, 1),
    ]  # fmt: skip
    statuses = [(status, cause) for status, cause, count in kinds for _ in range(count)]
    return [make_row(i, status=status, cause=cause) for i, (status, cause) in enumerate(statuses)]


def test_errors_and_invalid_episodes_are_beside_never_inside() -> None:
    counts = tally(rows_of_all_kinds(), planned=16)
    assert (counts.rate.successes, counts.rate.n) == (6, 8)
    assert (counts.policy_errors, counts.system_errors, counts.invalid) == (1, 3, 1)
    assert not counts.complete
    # 16 planned, 3 of them lost to the system: 6 of 13.
    assert (counts.strict.successes, counts.strict.n) == (6, 13)


def write_run(folder: Path, rows: list[EpisodeRow]) -> Path:
    (folder / "episodes").mkdir(parents=True)
    text = "".join(json.dumps(row.to_json()) + "\n" for row in rows)
    (folder / "episodes" / "0-of-1.jsonl").write_text(text)
    (folder / "plan.json").write_text(json.dumps({"episodes": []}))
    (folder / "card.json").write_text(json.dumps({"env": {}, "policy": {}}))
    return folder


def test_tables_recompute_from_rows_in_any_order(tmp_path: Path) -> None:
    rows = rows_of_all_kinds()
    one = pool_runs([load_run(write_run(tmp_path / "one", rows))])
    two = pool_runs([load_run(write_run(tmp_path / "two", rows[::-1]))])
    assert leaderboard_csv(one) == leaderboard_csv(two)
    assert tasks_csv(one) == tasks_csv(two)
    line = next(csv.DictReader(io.StringIO(leaderboard_csv(one))))
    assert (line["successes"], line["n"], line["success_pct"]) == ("6", "8", "75.0")


def test_rows_of_different_cards_are_lines_of_their_own(tmp_path: Path) -> None:
    runs = [
        load_run(write_run(tmp_path / card, [make_row(0, card=card), make_row(1, card=card)]))
        for card in ("x", "y")
    ]
    assert [entry.key.card for entry in pool_runs(runs)] == ["x", "y"]


def test_one_episode_in_two_runs_is_refused(tmp_path: Path) -> None:
    runs = [load_run(write_run(tmp_path / name, [make_row(0)])) for name in ("a", "b")]
    with pytest.raises(ValueError, match="stands in"):
        pool_runs(runs)


def test_a_torn_file_is_named(cli: Cli, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [make_row(0)])
    with (run / "episodes" / "0-of-1.jsonl").open("a") as file:
        file.write('{"schema"')
    done = cli("report", str(run), "-o", "page")
    assert done.returncode == 2
    assert "0-of-1.jsonl, line 2" in done.stderr


def test_report_folder(cli: Cli, tmp_path: Path) -> None:
    folders = []
    for policy in ("toy_chase", "random"):
        out = tmp_path / policy
        folders.append(str(out))
        assert cli(*eval_toy(out, "episodes=2", "video=all", policy=policy)).returncode == 0
    done = cli("report", *folders, "-o", "page")
    assert done.returncode == 0, done.stderr
    page = tmp_path / "page"
    html = (page / "index.html").read_text()
    lines = list(csv.DictReader((page / "leaderboard.csv").open()))
    assert [line["policy"] for line in lines] == ["toy_chase", "random"]
    for line in lines:
        assert f"<b>{line['success_pct']} %</b>" in html
        assert (
            f"| {line['policy']} | {line['success_pct']} |" in (page / "leaderboard.md").read_text()
        )
    videos = sorted(path.relative_to(page).as_posix() for path in page.rglob("*.mp4"))
    assert len(videos) == 8
    for video in videos:
        assert f"data-src='{video}'" in html
        assert (page / video).read_bytes()[4:8] == b"ftyp"
