"""A large study becomes a report in a minute."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sfbench.contracts import Status
from tests.rollout.test_plan_and_journal import make_row

ARMS, SEEDS, STEPS = ("baseline", "sf"), 10, 25
TASKS, STATES = 20, 100
MAX_WALL_S, MAX_RESIDENT_KIB = 60, 4 * 1024**2


def write_journal(folder: Path, arm: str, seed: int, step: int) -> None:
    random = np.random.default_rng([len(arm), seed, step])
    solved = random.random((TASKS, STATES)) < 0.9 * (1 - np.exp(-step / (10 + 2 * len(arm))))
    row = make_row(
        policy="net", arm=arm, train_seed=seed, train_step=step, demos=50, recipe=arm,
        checkpoint=f"{arm}/{seed}/{step}",
    ).to_json()  # fmt: skip
    lines, planned = [], []
    for task in range(TASKS):
        for state in range(STATES):
            status = Status.SUCCESS if solved[task, state] else Status.FAILURE
            row |= {"task": f"task{task}", "init_state": state, "status": status.value,
                    "wall_s": float(random.random())}  # fmt: skip
            lines.append(json.dumps(row))
            names = ("suite", "task", "instruction", "instruction_split", "init_state", "split",
                     "seed", "repeat")  # fmt: skip
            planned.append({name: row[name] for name in names} | {"budget_steps": 40})
    (folder / "episodes").mkdir(parents=True)
    (folder / "episodes" / "0-of-1.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "plan.json").write_text(json.dumps({"episodes": planned}))
    (folder / "card.json").write_text(json.dumps({"env": {}, "policy": {}}))


@pytest.mark.system
def test_a_million_rows_of_500_journals(tmp_path: Path) -> None:
    for arm in ARMS:
        for seed in range(SEEDS):
            for step in range(1, STEPS + 1):
                write_journal(tmp_path / f"{arm}-{seed}" / "evals" / str(step), arm, seed, step)
    folders = sorted(str(path) for path in tmp_path.iterdir())
    page = tmp_path / "page"
    start_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sfbench", "report", *folders, "-o", str(page)],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start_s
    processor_s = usage.ru_utime + usage.ru_stime
    print(
        f"{len(ARMS) * SEEDS * STEPS * TASKS * STATES} rows: {wall_s:.1f} s, "
        f"{processor_s:.1f} s of processor, {usage.ru_maxrss / 1024**2:.2f} GiB"
    )
    assert os.waitstatus_to_exitcode(status) == 0
    assert (page / "leaderboard.csv").read_text().count("20000,20000,") == len(ARMS)
    assert len((page / "curves.csv").read_text().splitlines()) == 1 + len(ARMS) * STEPS
    assert wall_s <= MAX_WALL_S
    assert usage.ru_maxrss <= MAX_RESIDENT_KIB
