"""What the families' trainables share."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfbench.contracts import (
    ActionSpec,
    CameraNeed,
    EnvSpec,
    Orientation,
    PolicySpec,
    RunsIn,
    VectorSpec,
    check_compatible,
)
from sfbench.errors import SpecMismatchError, UsageError

Images = NDArray[np.uint8]


def check_demonstrations(
    name: str, env: EnvSpec, cameras: Sequence[str], vectors: tuple[ActionSpec, VectorSpec | None]
) -> None:
    """Raises SpecMismatchError where demonstrations lack what the policy reads and writes.

    Args:
        name: of the policy.
        env: the demonstrations' conventions.
        cameras: the policy's views.
        vectors: its action space and its state.
    """
    action, state = vectors
    needs = (CameraNeed(name=camera, orientation=given(env, camera)) for camera in cameras)
    wanted = PolicySpec(
        name=name, runs_in=RunsIn.MAIN, cameras=tuple(needs), action=action, state=state
    )
    try:
        check_compatible(env, wanted)
    except SpecMismatchError as error:
        # The check speaks of the suite, whose conventions the demonstrations carry.
        raise SpecMismatchError(f"the demonstrations and the policy differ: {error}") from error


def given(env: EnvSpec, camera: str) -> Orientation:
    """How the demonstrations' images of a camera lie."""
    found = env.camera(camera)
    return Orientation.UPRIGHT if found is None else found.orientation


def resized_views(
    images: Mapping[str, Images], cameras: Sequence[str], resize: Callable[[Images, str], Images]
) -> Images:
    """Every view of every sample: camera name to [B, H, W, 3], to [B, V, px, px, 3].

    Args:
        images: the demonstrations'.
        cameras: the views, in the model's order.
        resize: makes the model's square of one image [H, W, 3] of a camera.

    Raises:
        UsageError: a view is missing.
    """
    if missing := [name for name in cameras if name not in images]:
        raise UsageError(
            f"the batch lacks the views {', '.join(missing)}; it has {', '.join(images)}"
        )
    views = [np.stack([resize(image, name) for image in images[name]]) for name in cameras]
    return np.stack(views, axis=1)


def copy_matching(
    target: Mapping[str, Tensor], source: Mapping[str, Tensor], needed: Sequence[str], where: str
) -> None:
    """Copy weights in place wherever name and shape agree.

    Args:
        target: a model's `state_dict`.
        source: weights to start from.
        needed: prefixes of the names that must all be copied.
        where: names the source in errors.

    Raises:
        UsageError: with all of the needed ones that do not fit.
    """
    problems = []
    with torch.no_grad():
        for name, tensor in target.items():
            found = source.get(name)
            if found is not None and found.shape == tensor.shape:
                tensor.copy_(found)
            elif name.startswith(tuple(needed)):
                got = "nothing" if found is None else str(tuple(found.shape))
                problems.append(f"{name}: it has {got}, needed is {tuple(tensor.shape)}")
    if problems:
        raise UsageError(
            f"start={where}: its weights do not fit this policy:\n  " + "\n  ".join(problems)
        )


def refuse_weights(name: str, checkpoint: str, seed: int | None) -> None:
    """Raises UsageError where a policy's inference settings name weights."""
    if checkpoint or seed is not None:
        raise UsageError(
            f"training {name}: weights to begin with are named by start=FOLDER, random ones by "
            "seed=N; policy.checkpoint and policy.random_weights_seed are for evaluation"
        )
