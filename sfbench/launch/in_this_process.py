"""launcher=debug: one task after the other, in this process; a debugger opens at an exception."""

from collections.abc import Sequence

from submitit.local.debug import DebugExecutor

from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import TaskName
from sfbench.launch.launchers import StagePlan
from sfbench.launch.task import SweepTask


class DebugLauncher:
    """See Launcher. `launch` returns when everything has run."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder

    def launch(self, plans: Sequence[StagePlan]) -> None:
        """See Launcher."""
        executor = DebugExecutor(self._folder.logs)
        for plan in plans:
            names = [str(task) for task in plan.tasks]
            self._folder.add_event(
                "submitted", launcher="debug", stage=plan.stage, job="debug", tasks=names
            )
            for name in names:
                # workers=0 keeps suite and policy in this process, where a debugger sees them.
                executor.submit(SweepTask(str(self._folder.path), name, workers=0)).result()

    def active(self) -> dict[TaskName, str]:
        """See Launcher: `launch` leaves nothing running."""
        return {}

    def ended(self) -> dict[TaskName, str]:
        """See Launcher."""
        return {}

    def cancel(self) -> int:
        """See Launcher: there is nothing to end."""
        return 0
