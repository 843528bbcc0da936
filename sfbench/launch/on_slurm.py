"""launcher=slurm: job arrays through Submitit, one sbatch call for a stage."""

import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.helpers import clean_env
from submitit.slurm.slurm import SlurmExecutor

from sfbench.errors import SfbenchError, StoppedError, UnknownNameError, UsageError
from sfbench.launch import cluster
from sfbench.launch.folder import SweepFolder, submitted_tasks
from sfbench.launch.graph import Graph, Stage, TaskName
from sfbench.launch.launchers import Settings, StagePlan
from sfbench.launch.profile import Profile
from sfbench.launch.sweep_file import AfterRule
from sfbench.launch.task import SweepTask

_PATIENCE_S = 30.0
_SETTLE_S = 5.0
_ASK_AGAIN_S = 1.0


class SlurmLauncher:
    """See Launcher."""

    def __init__(self, folder: SweepFolder, graph: Graph, settings: Settings) -> None:
        """Raises MissingError where there is no Slurm."""
        cluster.require_sbatch()
        self._folder = folder
        self._graph = graph
        self._settings = settings
        self._names = [graph.job_name(stage) for stage in Stage]

    def launch(self, plans: Sequence[StagePlan]) -> None:
        """See Launcher."""
        jobs: dict[Stage, list[str]] = {}
        before = self._queued_before()
        for plan in plans:
            try:
                jobs[plan.stage] = self._submit_stage(plan, _dependency(plan, before, jobs))
            except UsageError as error:
                made = [job for ids in jobs.values() for job in ids]
                if not made:
                    raise
                raise StoppedError(
                    f"{error}\nSubmitted before that: jobs {', '.join(made)}. "
                    f"`sfbench sweep cancel {self._folder.path}` ends them; "
                    f"`sfbench sweep resubmit {self._folder.path}` submits what is missing"
                ) from error

    def active(self) -> dict[TaskName, str]:
        """See Launcher."""
        return self._by_task({item.job: item.state for item in cluster.queue(self._names)})

    def ended(self) -> dict[TaskName, str]:
        """See Launcher."""
        return self._by_task(cluster.ended(self._names))

    def cancel(self) -> int:
        """See Launcher. Jobs are found by name, so also one whose id could not be written down."""
        jobs = cluster.queue(self._names)
        if jobs:
            cluster.cancel(sorted({item.job.partition("_")[0] for item in jobs}))
        return len(jobs)

    def _queued_before(self) -> dict[Stage, list[str]]:
        """Tasks of earlier submissions that have not ended, by stage."""
        tasks = submitted_tasks(self._folder.events())
        found: dict[Stage, list[str]] = {}
        for item in cluster.queue(self._names) if tasks else ():
            if item.job in tasks:
                stage = self._graph.cells[tasks[item.job].cell].stage
                found.setdefault(stage, []).append(item.job)
        return found

    def _by_task(self, states: dict[str, str]) -> dict[TaskName, str]:
        tasks = submitted_tasks(self._folder.events())
        return {tasks[job]: state for job, state in states.items() if job in tasks}

    # -- one stage

    def _submit_stage(self, plan: StagePlan, dependency: str | None) -> list[str]:
        """The job ids of a stage's arrays: one, unless the cluster takes only smaller ones."""
        profile = self._settings.profiles[plan.stage]
        size = profile.max_array_size
        if size is None and len(plan.tasks) > cluster.DEFAULT_ARRAY_SIZE:
            size = cluster.max_array_size()
        try:
            return self._submit_arrays(plan, dependency, size)
        except _ArrayTooLargeError:
            size = cluster.max_array_size()
            if size is None or size >= len(plan.tasks):
                raise
            return self._submit_arrays(plan, dependency, size)

    def _submit_arrays(
        self, plan: StagePlan, dependency: str | None, size: int | None
    ) -> list[str]:
        size = size or len(plan.tasks)
        parts = [plan.tasks[at : at + size] for at in range(0, len(plan.tasks), size)]
        jobs: list[str] = []
        for tasks in parts:
            try:
                jobs.append(self._submit_array(plan.stage, tasks, dependency, len(parts)))
            except UsageError as error:
                if not jobs:
                    raise
                raise UsageError(f"{error} (parts of this stage are jobs {', '.join(jobs)})") from (
                    error
                )
        return jobs

    def _submit_array(
        self, stage: Stage, tasks: Sequence[TaskName], dependency: str | None, parts: int
    ) -> str:
        profile = self._settings.profiles[stage]
        executor = SlurmExecutor(
            self._folder.logs, max_num_timeout=profile.max_timeouts, python=profile.python
        )
        executor.update_parameters(**_parameters(profile, stage, dependency, parts))
        executor.update_parameters(job_name=self._graph.job_name(stage))
        calls = [
            SweepTask(str(self._folder.path), str(task), profile.cpus_per_task) for task in tasks
        ]
        try:
            with _outside_jobs(), _readable(stage, profile):
                submitted = executor.submit_array(calls)
        except _SlowControllerError as error:
            self._end_strays(error)
            raise
        job = submitted[0].job_id.partition("_")[0]
        self._folder.add_event(
            "submitted", launcher="slurm", stage=stage, job=job, dependency=dependency,
            tasks=[str(task) for task in tasks],
        )  # fmt: skip
        return job

    def _end_strays(self, slow: UsageError) -> None:
        """End jobs whose ids we were never told: a slow controller takes a job, and sbatch fails.

        Their tasks could not run, as Submitit names what they are to do after the job's id. The
        queue is asked until it answers, and after that for as long as a job may still appear.

        Raises:
            UsageError: Slurm does not answer.
        """
        known = {event["job"] for event in self._folder.events() if "job" in event}
        end_s, settled_s = time.monotonic() + _PATIENCE_S, math.inf
        while time.monotonic() < settled_s:
            try:
                found = {item.job.partition("_")[0] for item in cluster.queue(self._names)}
                if strays := sorted(found - known):
                    cluster.cancel(strays)
                    return
                settled_s = min(settled_s, time.monotonic() + _SETTLE_S)
            except StoppedError as error:
                if time.monotonic() > end_s:
                    raise UsageError(
                        f"{slow}. It may have taken them ({error}): "
                        f"`sfbench sweep cancel {self._folder.path}` ends them"
                    ) from error
            time.sleep(_ASK_AGAIN_S)


def _dependency(
    plan: StagePlan, before: Mapping[Stage, Sequence[str]], jobs: Mapping[Stage, Sequence[str]]
) -> str | None:
    """What sbatch is told to wait for: the stages before, as they are submitted now and were."""
    by_kind: dict[str, list[str]] = {}
    for wait in plan.waits:
        kind = "after" if wait.rule is None else wait.rule.value
        # Of an array of which a task has failed, only those tasks that go on can still end well.
        tasks = before.get(wait.stage, [])
        if wait.rule is not AfterRule.OK:
            tasks = list(dict.fromkeys(task.partition("_")[0] for task in tasks))
        by_kind.setdefault(kind, []).extend([*tasks, *jobs.get(wait.stage, [])])
    terms = [":".join([kind, *ids]) for kind, ids in by_kind.items() if ids]
    return ",".join(terms) or None


def _parameters(
    profile: Profile, stage: Stage, dependency: str | None, parts: int
) -> dict[str, Any]:
    """What Submitit is told; a stage that is no training is one process on one node."""
    training = stage is Stage.TRAIN
    given: dict[str, Any] = {
        "partition": profile.partition,
        "account": profile.account,
        "qos": profile.qos,
        "constraint": profile.constraint,
        "gpus_per_node": profile.gpus_per_node,
        "cpus_per_task": profile.cpus_per_task,
        "mem": None if profile.mem_gb is None else f"{round(profile.mem_gb * 1024)}M",
        "time": profile.time_min,
        "signal_delay_s": profile.signal_delay_s,
        # The bound is for the stage, so that its arrays share it.
        "array_parallelism": max(1, profile.max_parallel // parts),
        "setup": profile.setup or None,
        "dependency": dependency,
        "nodes": profile.nodes if training else 1,
        "ntasks_per_node": profile.tasks_per_node if training else 1,
        # A job whose condition can no longer come true would wait for ever.
        "additional_parameters": {
            "requeue": True, "kill-on-invalid-dep": "yes", **profile.extra
        },
    }  # fmt: skip
    return {key: value for key, value in given.items() if value is not None}


@contextmanager
def _outside_jobs() -> Iterator[None]:
    """Hide the variables of a job that this may run in; those that people set for Slurm stay."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "SLURM_CONF" or name.startswith("SBATCH_")
    }
    with clean_env():
        os.environ.update(kept)
        yield


class _ArrayTooLargeError(UsageError):
    """The controller takes only smaller arrays."""


class _SlowControllerError(UsageError):
    """No answer in time to sbatch: the jobs may have been taken."""


@contextmanager
def _readable(stage: Stage, profile: Profile) -> Iterator[None]:
    """Turn what Submitit raises into one message that says what to change."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (FailedJobError, FailedSubmissionError) as error:
        lines = [line.strip() for line in str(error).splitlines() if "sbatch:" in line]
        said = " ".join(lines or str(error).split())
        raise _refusal(stage, profile, said) from error
    except OSError as error:
        raise UsageError(f"stage {stage} could not be submitted: {error}") from error


def _refusal(stage: Stage, profile: Profile, said: str) -> SfbenchError:
    low = said.lower()
    if "partition" in low and profile.partition is not None:
        known = cluster.partitions()
        if known and profile.partition not in known:
            return UnknownNameError("partition", profile.partition, known, f"(stage {stage})")
    text = f"Slurm refused the jobs of stage {stage}: {said}"
    if "timed out" in low:
        return _SlowControllerError(f"{text}. The controller is slow: try again later")
    if "array" in low:
        return _ArrayTooLargeError(f"{text}. Set max_array_size in the profile")
    return UsageError(f"{text}. Nothing of this stage was submitted; mend the profile")
