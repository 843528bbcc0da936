"""Run folders of a study that never took place, with known truth: sf needs half of everything."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np

from sfbench.contracts import EpisodeRow, ProtocolCard, Status
from tests.rollout.test_plan_and_journal import make_row

TASKS = ("lift", "push", "stack")
STEPS = (250, 500, 1000, 2000, 4000)
DEMOS = (10, 25, 50, 100, 200)
SEEDS = range(3)
EPISODES = 50
TAU = {"baseline": 1500.0, "sf": 750.0, "slow": 40_000.0}
TRUE_RATIO = TAU["baseline"] / TAU["sf"]
DATA_STEP = 2000
"""Subsets were trained so long; all demonstrations for twice that."""

CARD = ProtocolCard({"gl": "software", "tasks": {task: {"version": "1"} for task in TASKS}}, {})


def success(arm: str, step: int, demos: int) -> float:
    """True rate; demonstrations count as steps do."""
    return 0.9 * (1 - math.exp(-step * demos / DEMOS[-1] / TAU[arm]))


def write_study(folder: Path) -> list[Path]:
    """One run folder per training and kept step."""
    found = []
    for arm in TAU:
        for seed in SEEDS:
            places = [(step, DEMOS[-1]) for step in STEPS]
            places += [(DATA_STEP, demos) for demos in DEMOS[:-1] if arm != "slow"]
            found += [write_cell(folder, arm, seed, *place) for place in places]
    return found


def write_cell(folder: Path, arm: str, seed: int, step: int, demos: int) -> Path:
    run = folder / f"{arm}-{seed}-{demos}" / "evals" / str(step)
    rows = _rows(arm, seed, step, demos)
    (run / "episodes").mkdir(parents=True)
    text = "".join(json.dumps(row.to_json()) + "\n" for row in rows)
    (run / "episodes" / "0-of-1.jsonl").write_text(text)
    planned = [{"task": row.task} for row in rows]
    assert Counter(row.task for row in rows) == dict.fromkeys(TASKS, EPISODES)
    (run / "plan.json").write_text(json.dumps({"episodes": planned}))
    card = ProtocolCard(CARD.env, {"checkpoint": f"{arm}-{seed}-{demos}-{step}"})
    (run / "card.json").write_text(json.dumps(card.to_json()))
    return run


def _rows(arm: str, seed: int, step: int, demos: int) -> list[EpisodeRow]:
    random = np.random.default_rng([step, demos, seed, len(arm)])
    rate = success(arm, step, demos)
    return [
        make_row(
            state, task=task, arm=arm, policy="net", recipe=f"r-{arm}", train_seed=seed,
            train_step=step, demos=demos, demos_share=demos / DEMOS[-1],
            checkpoint=f"{arm}-{seed}-{demos}/{step}", card=CARD.row_hash(task),
            status=Status.SUCCESS if random.random() < rate else Status.FAILURE,
        )
        for task in TASKS
        for state in range(EPISODES)
    ]  # fmt: skip
