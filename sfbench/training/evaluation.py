"""Rolling checkpoints out while training, through the ordinary rollout."""

from dataclasses import replace
from pathlib import Path

from sfbench.contracts import Split, Status, Suite
from sfbench.errors import UnknownNameError, UsageError
from sfbench.registry import PolicyRecipe
from sfbench.rollout.plan import PlanRequest, make_plan
from sfbench.rollout.request import RunRequest
from sfbench.rollout.run import RunResult, evaluate
from sfbench.training.request import TrainRequest

EVALS = "evals"


def check_rollouts(request: TrainRequest, suite: Suite | None) -> None:
    """Find out before the first step what would go wrong later.

    Raises:
        UsageError: rollouts without a suite, at steps that never come, or of unknown tasks.
    """
    steps, last = request.rollout.steps, request.settings.steps
    if not steps:
        return
    if suite is None:
        raise UsageError("rollout.steps needs a suite to roll out in: type suite=NAME")
    if out := [step for step in steps if not 1 <= step <= last]:
        raise UsageError(f"rollout.steps={out}: allowed are steps from 1 to {last}")
    if not hasattr(request.policy_config, "checkpoint"):
        raise UsageError(
            f"policy '{request.policy}' takes no checkpoint, so none can be rolled out"
        )
    make_plan(suite, _plan(request))
    suite.preflight()


def roll_out(request: TrainRequest, checkpoint: Path, step: int) -> str:
    """Evaluate a checkpoint into `evals/<step>`; a second call runs what is missing.

    Returns:
        One line for the log.

    Raises:
        StoppedError: part of it was run.
    """
    assert request.suite is not None, "checked before the first step"
    config = replace(request.policy_config, checkpoint=str(checkpoint))
    if hasattr(config, "device"):
        config = replace(config, device=request.settings.device)
    result = evaluate(
        RunRequest(
            suite=request.suite,
            policy=PolicyRecipe(request.policy, config),
            plan=_plan(request),
            out=request.out / EVALS / str(step),
            workers=request.rollout.workers,
            config_yaml=request.config_yaml,
            command=request.command,
        )
    )
    return f"step {step}: {_summary(result)}"


def _plan(request: TrainRequest) -> PlanRequest:
    rollout = request.rollout
    splits = [split.value for split in Split]
    if rollout.split not in splits:
        raise UnknownNameError("value of rollout.split", rollout.split, splits)
    return PlanRequest(
        tasks=None if rollout.tasks is None else tuple(rollout.tasks),
        split=Split(rollout.split),
        episodes=rollout.episodes,
        seed=rollout.seed,
    )


def _summary(result: RunResult) -> str:
    measured = [row for row in result.rows if row.status in (Status.SUCCESS, Status.FAILURE)]
    solved = sum(row.status is Status.SUCCESS for row in measured)
    others = len(result.rows) - len(measured)
    return f"{solved} of {len(measured)} episodes solved" + (
        f", {others} not measured" if others else ""
    )
