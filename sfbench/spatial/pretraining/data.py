"""Which scenes are trained on, and which are kept for the test."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sfbench.contracts import Json, Split, Suite
from sfbench.errors import UnknownNameError, UsageError
from sfbench.spatial.pretraining.rendering import RenderRequest, render
from sfbench.spatial.pretraining.scenes import Scenes, kept
from sfbench.spatial.pretraining.settings import TeacherSettings

_EVERY = 5
"""One task in this many is held out, where none are named."""
UNSEEN, SEEN = "unseen tasks", "seen tasks"


@dataclass(frozen=True, eq=False)
class Data:
    """Scenes.

    Attributes:
        train: of the `train` split.
        tests: of the `eval` split, by name of the test set: UNSEEN tasks, and SEEN ones.
        trained_tasks: what is trained on.
        held_out_tasks: what is not.
    """

    train: Scenes
    tests: dict[str, Scenes]
    trained_tasks: tuple[str, ...]
    held_out_tasks: tuple[str, ...]


def choose_tasks(
    suite: Suite, settings: TeacherSettings
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tasks to train on, and held-out ones. Raises UsageError."""
    for name in (*settings.tasks, *settings.held_out):
        if name not in suite.tasks:
            raise UnknownNameError("task", name, suite.tasks)
    named = settings.tasks or list(suite.tasks)
    held_out = tuple(settings.held_out or named[_EVERY - 1 :: _EVERY])
    trained = tuple(name for name in named if name not in held_out)
    if not trained or not held_out:
        raise UsageError(
            f"{len(trained)} tasks to train on, {len(held_out)} held out: both need one at least; "
            "name them with tasks=[..] and held_out=[..]"
        )
    return trained, held_out


def prepare(
    suite: Suite, settings: TeacherSettings, folder: Path, report: Callable[[str], None]
) -> Data:
    """Open the folder's scenes; render what it lacks.

    Raises:
        UsageError: unknown tasks, a suite whose cameras cannot be placed, other scenes there.
    """
    trained, held_out = choose_tasks(suite, settings)

    def scenes(name: str, tasks: tuple[str, ...], split: Split, count: int) -> Scenes:
        request = RenderRequest(
            suite=suite,
            tasks=tasks,
            split=split,
            count=count,
            views=settings.views,
            image_px=settings.image_px,
            seed=settings.seed,
        )
        return kept(folder / name, _key(request), lambda: render(request, report))

    each = [-(-settings.test_scenes // len(tasks)) for tasks in (held_out, trained)]
    return Data(
        train=scenes("train", trained, Split.TRAIN, settings.scenes),
        tests={
            UNSEEN: scenes("unseen", held_out, Split.EVAL, each[0]),
            SEEN: scenes("seen", trained, Split.EVAL, each[1]),
        },
        trained_tasks=trained,
        held_out_tasks=held_out,
    )


def _key(request: RenderRequest) -> dict[str, Json]:
    suite = request.suite
    return {
        "suite": suite.name,
        "suite_version": suite.version,
        "tasks": {name: suite.tasks[name].version for name in request.tasks},
        "split": str(request.split),
        "count": request.count,
        "views": request.views,
        "image_px": request.image_px,
        "seed": request.seed,
    }
