"""A training that takes no time, for sweeps: it leaves a checkpoint folder per kept step."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from sfbench.errors import StoppedError, UsageError
from sfbench.rollout.stopping import stop_on_signal

KEYS = ("out", "keep", "fail", "steps", "seconds")


def command(arguments: Sequence[str]) -> int:
    check_arguments(arguments)
    keys = dict(argument.split("=", 1) for argument in arguments)
    if keys.get("fail") == "true":
        raise StoppedError("the toy training fails")
    with stop_on_signal():
        for step in keys["keep"].strip("[]").split(","):
            (Path(keys["out"]) / "checkpoints" / step).mkdir(parents=True, exist_ok=True)
    return 0


def distributed_command(arguments: Sequence[str]) -> int:
    """Adds rank + 1 over all processes, and leaves the sum in each checkpoint."""
    import torch
    import torch.distributed as dist

    keys = dict(argument.split("=", 1) for argument in arguments)
    dist.init_process_group("gloo")
    total = torch.tensor([dist.get_rank() + 1])
    dist.all_reduce(total)
    nodes: list[str] = [""] * dist.get_world_size()
    dist.all_gather_object(nodes, os.environ["SLURMD_NODENAME"])
    if dist.get_rank() == 0:
        for step in keys["keep"].strip("[]").split(","):
            folder = Path(keys["out"]) / "checkpoints" / step
            folder.mkdir(parents=True, exist_ok=True)
            told = {"sum": int(total), "world_size": dist.get_world_size(), "nodes": nodes}
            (folder / "sum.json").write_text(json.dumps(told))
    dist.destroy_process_group()
    return 0


def check_arguments(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if argument.split("=", 1)[0] not in KEYS:
            raise UsageError(f"'{argument}': the toy training knows {', '.join(KEYS)}")
