"""Plans are pure, seeds are stable, journals keep what they hold."""

import fcntl
import json
import threading
from pathlib import Path

import pytest
from sfbench_toy.suite import ToyConfig, ToySuite

from sfbench.contracts import EpisodeKey, EpisodeRow, ProtocolCard, Split, Status, differences
from sfbench.errors import RunFolderError, UsageError
from sfbench.rollout.journal import Journal, read_rows
from sfbench.rollout.pending import PendingEpisodes
from sfbench.rollout.plan import Plan, PlanRequest, make_plan
from sfbench.rollout.seeds import derive_seed, policy_seed, scene_seed

SUITE = ToySuite(ToyConfig())


def make_row(init_state: int = 0, **changes: object) -> EpisodeRow:
    data: dict[str, object] = {
        "suite": "toy", "task": "reach", "instruction": "go", "instruction_split": "seen",
        "init_state": init_state, "split": "eval", "seed": 0, "repeat": 0,
        "status": Status.SUCCESS, "cause": None, "steps": 3, "success_step": 3, "policy": "p",
        "preset": None, "checkpoint": None, "arm": None, "leak": False, "scene": "",
        "infer_calls": 1, "infer_p50_s": 0.1, "infer_p95_s": 0.1, "wall_s": 1.0, "infer_s": 0.1,
        "sim_s": 0.5, "render_s": 0.2, "attempt": 1, "video": None, "error": None, "card": "c",
    }  # fmt: skip
    return EpisodeRow(**{**data, **changes})  # type: ignore[arg-type]


def test_a_plan_is_a_pure_function() -> None:
    request = PlanRequest(episodes=5, repeats=2, seed=3)
    assert make_plan(SUITE, request) == make_plan(ToySuite(ToyConfig()), request)
    assert make_plan(SUITE, request).hash != make_plan(SUITE, PlanRequest(episodes=5)).hash


def test_a_plan_may_begin_further_on() -> None:
    plan = make_plan(SUITE, PlanRequest(tasks=("reach",), episodes=2, first=3))
    assert [episode.init_state for episode in plan.episodes] == [3, 4]
    with pytest.raises(UsageError, match="17 initial states in split 'eval' from first=3 on"):
        make_plan(SUITE, PlanRequest(episodes=18, first=3))
    with pytest.raises(UsageError, match="first=-1: allowed 0 or more"):
        make_plan(SUITE, PlanRequest(episodes=1, first=-1))


@pytest.mark.parametrize("count", [1, 3, 7, 40])
def test_shards_cover_a_plan_once(count: int) -> None:
    plan = make_plan(SUITE, PlanRequest(episodes=10))
    shards = [episode for i in range(count) for episode in plan.shard(i, count).episodes]
    assert sorted(episode.key for episode in shards) == sorted(e.key for e in plan.episodes)


def test_a_plan_survives_json() -> None:
    plan = make_plan(SUITE, PlanRequest(episodes=2, split=Split.SELECT))
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_unseen_instructions_come_from_their_own_list() -> None:
    for split, texts in (
        ("seen", SUITE.tasks["reach"].instructions),
        ("unseen", SUITE.tasks["reach"].unseen_instructions),
    ):
        plan = make_plan(SUITE, PlanRequest(episodes=20, instruction_split=split))
        assert {episode.instruction for episode in plan.episodes} == set(texts)


def test_seeds_are_what_they_were() -> None:
    """Golden values: a change here changes every published row, and needs a new SEED_RULE."""
    key = EpisodeKey("suite", "task", 3, 7, 1)
    assert derive_seed("a", 1) == 2125957440892058690
    assert scene_seed(key) == 2955719973196099881
    assert policy_seed(key) == 2718821364639633942


def test_seeds_tell_names_from_numbers() -> None:
    assert derive_seed("1") != derive_seed(1)
    assert derive_seed("ab", "c") != derive_seed("a", "bc")


def test_repeats_share_the_scene_and_not_the_noise() -> None:
    one, two = EpisodeKey("s", "t", 0, 0, 0), EpisodeKey("s", "t", 0, 0, 1)
    assert scene_seed(one) == scene_seed(two)
    assert policy_seed(one) != policy_seed(two)


def test_rows_survive_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "episodes" / "0-of-1.jsonl")
    rows = [make_row(0), make_row(1, status=Status.INVALID, error="dark")]
    for row in rows:
        journal.append(row)
    journal.close()
    assert read_rows(tmp_path) == rows


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a.jsonl")
    with pytest.raises(RunFolderError, match="another process"):
        Journal(tmp_path / "a.jsonl")
    first.close()
    Journal(tmp_path / "a.jsonl").close()


def test_a_look_at_the_lock_turns_no_writer_away(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("a") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        threading.Timer(0.08, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        Journal(path).close()


@pytest.mark.parametrize("change", [{"steps": None}, {"extra": 1}, {"status": "solved"}])
def test_a_row_with_wrong_fields_names_file_and_line(
    tmp_path: Path, change: dict[str, object]
) -> None:
    data = {**make_row().to_json(), **change}
    if change == {"steps": None}:
        del data["steps"]
    path = tmp_path / "episodes" / "x.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps(make_row().to_json()) + "\n" + json.dumps(data) + "\n")
    with pytest.raises(RunFolderError, match=r"x\.jsonl, line 2"):
        read_rows(tmp_path)


def test_pending_prefers_the_scene_that_a_worker_has() -> None:
    pending = PendingEpisodes(make_plan(SUITE, PlanRequest(episodes=2)).episodes)
    first = pending.take(None, set())
    assert first.episode.task == "reach"
    assert pending.take(None, {"reach"}).episode.task == "reach_far"
    assert pending.take("reach", {"reach_far"}).episode.task == "reach"
    pending.put_back(first)
    assert len(pending) == 2
    assert pending.take("reach", set()) == first
    pending.take(None, {"reach_far"})
    with pytest.raises(IndexError):
        pending.take(None, set())


def test_cards_hash_only_what_moves_a_score() -> None:
    card = ProtocolCard({"a": {"b": 1}}, {"p": 1})
    assert card.hash == ProtocolCard({"a": {"b": 1}}, {"p": 2}).hash
    assert card.hash != ProtocolCard({"a": {"b": 2}}, {"p": 1}).hash
    assert ProtocolCard.from_json(card.to_json()) == card
    assert differences({"a": {"b": 1}, "c": 0}, {"a": {"b": 2}}) == [
        "a.b: 1 -> 2",
        "c: 0 -> (absent)",
    ]
