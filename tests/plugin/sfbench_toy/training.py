"""A training that takes no time, for sweeps: it leaves a checkpoint folder per kept step."""

from collections.abc import Sequence
from pathlib import Path

from sfbench.errors import StoppedError, UsageError
from sfbench.rollout.stopping import stop_on_signal

KEYS = ("out", "keep", "dataset", "fail", "steps", "seconds")


def command(arguments: Sequence[str]) -> int:
    check_arguments(arguments)
    keys = dict(argument.split("=", 1) for argument in arguments)
    if keys.get("fail") == "true":
        raise StoppedError("the toy training fails")
    with stop_on_signal():
        for step in keys["keep"].strip("[]").split(","):
            (Path(keys["out"]) / "checkpoints" / step).mkdir(parents=True, exist_ok=True)
    return 0


def check_arguments(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if argument.split("=", 1)[0] not in KEYS:
            raise UsageError(f"'{argument}': the toy training knows {', '.join(KEYS)}")
