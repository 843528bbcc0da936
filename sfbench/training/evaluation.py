"""Rolling checkpoints out while training, through the ordinary rollout."""

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sfbench.contracts import (
    CameraNeed,
    PolicySpec,
    RunsIn,
    Split,
    Status,
    Suite,
    VectorSpec,
    check_compatible,
)
from sfbench.demos.lerobot.foreign_images import naming_hint
from sfbench.errors import SpecMismatchError, UnknownNameError, UsageError
from sfbench.registry import PolicyRecipe
from sfbench.rollout.plan import PlanRequest, make_plan
from sfbench.rollout.request import RunRequest
from sfbench.rollout.run import RunResult, evaluate
from sfbench.training.request import TrainRequest
from sfbench.training.setup import Demonstrations
from sfbench.training.trainable import Needs

EVALS = "evals"
Spec = TypeVar("Spec", bound=VectorSpec)


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


def check_suite(demos: Demonstrations, policy: str, needs: Needs, suite: Suite | None) -> None:
    """Compare what is trained on with the suite that was named: a checkpoint has to fit it.

    Parts of vectors may have other names: policies take the suite's. Images may lie otherwise.

    Args:
        demos: the demonstrations.
        policy: its name.
        needs: the cameras that it reads.
        suite: None where none was named.

    Raises:
        SpecMismatchError: with every convention that differs.
    """
    if suite is None:
        return
    env, given = suite.env_spec, demos.env
    found = {name: env.camera(name) for name in needs.cameras}
    cameras = (
        CameraNeed(name=name) if one is None else CameraNeed(name=name, orientation=one.orientation)
        for name, one in found.items()
    )
    wanted = PolicySpec(
        name=policy,
        runs_in=RunsIn.MAIN,
        cameras=tuple(cameras),
        action=_named_as(given.action, env.action),
        state=_named_as(given.state, env.state),
    )
    try:
        check_compatible(env, wanted)
    except SpecMismatchError as error:
        advice = naming_hint(demos.dataset.spec) or (
            "\nGive the suite the settings that they were collected with (suite.KEY=...), or name "
            "no suite"
        )
        raise SpecMismatchError(
            f"what is trained on the demonstrations {demos.dataset.name} could not be evaluated in "
            f"suite {suite.name}: {error}{advice}"
        ) from error


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


def _named_as(spec: Spec, like: VectorSpec) -> Spec:
    """With the other's names for parts, where sizes agree."""
    if [part.size for part in spec.parts] != [part.size for part in like.parts]:
        return spec
    pairs = zip(spec.parts, like.parts, strict=True)
    return replace(spec, parts=tuple(replace(mine, name=theirs.name) for mine, theirs in pairs))


def _summary(result: RunResult) -> str:
    measured = [row for row in result.rows if row.status in (Status.SUCCESS, Status.FAILURE)]
    solved = sum(row.status is Status.SUCCESS for row in measured)
    others = len(result.rows) - len(measured)
    return f"{solved} of {len(measured)} episodes solved" + (
        f", {others} not measured" if others else ""
    )
