"""What a run is asked to do, as data: the same for the command line, a sweep and a test."""

from dataclasses import dataclass, field
from pathlib import Path

from sfbench.errors import UsageError
from sfbench.registry import PolicyRecipe, SuiteRecipe
from sfbench.rollout.engine import EngineSettings
from sfbench.rollout.episode_loop import EpisodeEnd, SubscriberRecipe
from sfbench.rollout.plan import PlanRequest
from sfbench.rollout.video import VideoMode
from sfbench.rollout.wrapping import PolicyWrapping
from sfbench.sim.gl import GlBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One evaluation.

    Attributes:
        suite: which suite, configured.
        policy: which policy, configured.
        plan: which episodes.
        out: the run folder.
        wrapping: chunk execution, ensembling, time limit.
        engine: how it is executed.
        workers: processes; 0 runs everything in this one (for a debugger).
        gl: backend, or None for the first that works.
        egl_device: EGL device index, or None for the first.
        video: which episodes leave a video.
        record_actions: keep every executed action, for `policy=replay`.
        subscribers: what else watches the episodes, from beside the Env; they may render.
        ends: when an episode ends.
        arm: free label for rows.
        shard: (index, count) of this process's share of the plan.
        config_yaml: the resolved config, kept in the run folder.
        command: what was typed, kept in the provenance.
    """

    suite: SuiteRecipe
    policy: PolicyRecipe
    plan: PlanRequest
    out: Path
    wrapping: PolicyWrapping = field(default_factory=PolicyWrapping)
    engine: EngineSettings = field(default_factory=EngineSettings)
    workers: int = 1
    gl: GlBackend | None = None
    egl_device: int | None = None
    video: VideoMode = VideoMode.NONE
    record_actions: bool = False
    subscribers: tuple[SubscriberRecipe, ...] = ()
    ends: EpisodeEnd = EpisodeEnd.FIRST_SUCCESS
    arm: str | None = None
    shard: tuple[int, int] = (0, 1)
    config_yaml: str = ""
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers outside their range. Raises UsageError."""
        if self.workers < 0:
            raise UsageError(f"workers={self.workers}: allowed 0 (all in one process) or more")
        if self.engine.max_batch < 1:
            raise UsageError(f"max_batch={self.engine.max_batch}: allowed 1 or more")
        if self.engine.max_attempts < 1:
            raise UsageError(f"max_attempts={self.engine.max_attempts}: allowed 1 or more")
        if self.engine.batch_wait_s < 0:
            raise UsageError(f"batch_wait_s={self.engine.batch_wait_s}: allowed 0 or more")
