"""A card tells tasks apart: rows of one task compare, whatever else was played."""

import json
from pathlib import Path
from typing import Any

import pytest

from sfbench.cli.main import run
from sfbench.contracts import ProtocolCard
from sfbench.report.entries import Entry, make_entries
from sfbench.report.load import load
from sfbench.report.tables import make_sections
from sfbench.rollout.journal import read_journal
from tests.report.test_report import played, write_run

SHARED = {"suite": "s", "mujoco": "3.2.3"}


def card_of(**versions: int) -> ProtocolCard:
    tasks = {name: {"version": version} for name, version in versions.items()}
    return ProtocolCard({**SHARED, "tasks": tasks}, {})


def play(out: Path, *extra: str) -> None:
    asked = ("eval", "suite=toy", "policy=noop", "episodes=2", "workers=0", f"out={out}", *extra)
    assert run(asked) == 0


def stored(out: Path) -> tuple[dict[str, Any], dict[str, set[str]]]:
    """The card's `env` part, and the cards of each task's rows."""
    cards: dict[str, set[str]] = {}
    for row in read_journal(out / "episodes" / "0-of-1.jsonl").rows:
        cards.setdefault(row.task, set()).add(row.card)
    return json.loads((out / "card.json").read_text())["env"], cards


def test_a_row_hash_is_of_its_own_task() -> None:
    small, large = card_of(reach=1), card_of(reach=1, push=1)
    assert small.row_hash("reach") == large.row_hash("reach") == small.hash
    assert large.row_hash("push") != large.row_hash("reach")
    assert card_of(reach=2).row_hash("reach") != small.row_hash("reach")
    assert ProtocolCard({**large.env, "mujoco": "3"}, {}).row_hash("push") != large.row_hash("push")
    untold = ProtocolCard(SHARED, {})
    assert untold.row_hash("reach") == untold.hash == untold.joined(large).hash


def test_a_run_lists_its_own_tasks_and_may_get_more(tmp_path: Path) -> None:
    few, every = tmp_path / "few", tmp_path / "every"
    play(few, "tasks=reach")
    play(every)
    env, cards = stored(few)
    whole, all_cards = stored(every)
    assert list(env["tasks"]) == ["reach"]
    assert sorted(whole["tasks"]) == ["reach", "reach_far"]
    assert cards["reach"] == all_cards["reach"]
    assert all(len(found) == 1 for found in all_cards.values())
    play(few, "tasks=reach_far")
    assert stored(few) == (whole, all_cards)


def test_a_changed_task_is_refused_in_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play(tmp_path, "tasks=reach")
    path = tmp_path / "card.json"
    document = json.loads(path.read_text())
    document["env"]["tasks"]["reach"]["radius_m"] = 0.5
    path.write_text(json.dumps(document))
    asked = ("eval", "suite=toy", "policy=noop", "episodes=3", "workers=0", f"out={tmp_path}")
    assert run(asked) == 2
    assert "env.tasks.reach.radius_m: 0.5 ->" in capsys.readouterr().err


def reported(folder: Path, runs: dict[str, ProtocolCard]) -> list[tuple[str, list[Entry]]]:
    """Cards and lines of the tables of a report on these runs, one policy each."""
    folders = []
    for name, card in runs.items():
        rows = [
            row
            for task in card.tasks
            for row in played(name, 5, 10, task=task, card=card.row_hash(task))
        ]
        folders.append(write_run(folder / name, rows))
        (folders[-1] / "card.json").write_text(json.dumps(card.to_json()))
    sections = make_sections(make_entries(load(folders)))
    return [(section.card, list(section.entries)) for section in sections]


def test_runs_of_other_tasks_share_a_table(tmp_path: Path) -> None:
    small, large = card_of(reach=1), card_of(reach=1, push=1)
    ((card, entries),) = reported(tmp_path, {"one": small, "two": large})
    assert card == large.hash
    assert [sorted(entry.tasks) for entry in entries] == [["reach"], ["push", "reach"]]


def test_runs_that_differ_in_a_task_do_not(tmp_path: Path) -> None:
    cards = {"one": card_of(reach=1), "two": card_of(reach=2), "three": card_of(push=1)}
    found = reported(tmp_path, cards)
    assert sorted(card for card, _ in found) == sorted(card.hash for card in cards.values())
    assert all(len(entries) == 1 for _, entries in found)
