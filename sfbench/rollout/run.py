"""One evaluation from request to rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from sfbench.contracts import (
    EpisodeRow,
    EpisodeSpec,
    PolicyContext,
    ProtocolCard,
    RunsIn,
    Status,
    check_compatible,
)
from sfbench.errors import MissingError
from sfbench.rollout import provenance
from sfbench.rollout.engine import RolloutEngine, RunSubscriber
from sfbench.rollout.in_process import InProcessRunner
from sfbench.rollout.journal import Journal
from sfbench.rollout.messages import Outcome
from sfbench.rollout.plan import make_plan
from sfbench.rollout.pool import WorkerPool
from sfbench.rollout.request import RunRequest
from sfbench.rollout.rows import RowMaker
from sfbench.rollout.run_folder import RunFolder
from sfbench.rollout.seeds import SEED_RULE
from sfbench.rollout.shared import SlotLayout
from sfbench.rollout.stopping import stop_on_signal
from sfbench.rollout.video import VideoMode, remove_partial
from sfbench.rollout.worker import WorkerSetup
from sfbench.sim.gl import GlBackend
from sfbench.sim.probe import GlProbe, first_working


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a finished run left.

    Attributes:
        rows: one per episode of this shard's share, in plan order.
        card: the protocol card.
    """

    rows: tuple[EpisodeRow, ...]
    card: ProtocolCard

    @property
    def clean(self) -> bool:
        """Whether every episode is a measurement: no error, none invalid."""
        return all(row.status in (Status.SUCCESS, Status.FAILURE) for row in self.rows)


def evaluate(request: RunRequest, subscribers: Sequence[RunSubscriber] = ()) -> RunResult:
    """Run what is missing of a request.

    Raises:
        UsageError: nothing was run; the message says what to change.
        StoppedError: part of it was run; the same call resumes.
    """
    evaluation = Evaluation(request, subscribers)
    try:
        return evaluation.run()
    finally:
        evaluation.policy.close()


class Evaluation:
    """A request whose suite, plan and policy are built and fit each other."""

    def __init__(self, request: RunRequest, subscribers: Sequence[RunSubscriber]) -> None:
        """Check everything that can be checked before episode 0. Raises UsageError."""
        self._request = request
        self._subscribers = subscribers
        self._suite = request.suite.build()
        self._plan = make_plan(self._suite, request.plan)
        self._share = self._plan.shard(*request.shard)
        self._share_keys = frozenset(episode.key for episode in self._share.episodes)
        bare = request.policy.build(PolicyContext(env_spec=self._suite.env_spec))
        self.policy = request.wrapping.wrap(bare)
        check_compatible(self._suite.env_spec, self.policy.spec)
        self._suite.preflight()
        self._gl = self._probe_gl()
        self.card = self._make_card().of_tasks({episode.task for episode in self._plan.episodes})

    def run(self) -> RunResult:
        """Run the share's episodes that have no row yet."""
        folder = RunFolder(self._request.out, "{}-of-{}".format(*self._request.shard))
        folder.check_card(self.card)
        journal = folder.open_journal()
        try:
            finished = folder.finished()
            todo = [episode for episode in self._share.episodes if episode.key not in finished]
            made_by = provenance.collect(self._request.command, self._gl.renderer)
            # The whole plan, from every shard: shares would overwrite one another.
            folder.write_start(self._plan, self.card, self._request.config_yaml, made_by)
            remove_partial(folder.path, self._share_keys)
            done = [row for row in finished.values() if row.key in self._share_keys]
            for subscriber in self._subscribers:
                subscriber.on_start(len(self._share.episodes), done)
            try:
                if todo:
                    self._run(todo, journal)
            finally:
                for subscriber in self._subscribers:
                    subscriber.on_end()
            finished = folder.finished()
        finally:
            journal.close()
        rows = tuple(finished[episode.key] for episode in self._share.episodes)
        return RunResult(rows, self.card)

    def _run(self, todo: Sequence[EpisodeSpec], journal: Journal) -> None:
        request = self._request
        make_row = RowMaker(self._suite, self.policy.spec, request.arm, self.card)
        setup = self._worker_setup()
        if request.workers == 0:

            def record(episode: EpisodeSpec, outcome: Outcome) -> None:
                row = make_row(episode, outcome, 1)
                journal.append(row)
                for subscriber in self._subscribers:
                    subscriber.on_row(row)

            with stop_on_signal() as stop_requested:
                InProcessRunner(setup, self.policy).run(todo, record, stop_requested)
            return
        pool = WorkerPool(setup, min(request.workers, len(todo)))
        patience_s = 0.0
        try:
            engine = RolloutEngine(pool, self.policy, journal, make_row, request.engine)
            with stop_on_signal() as stop_requested:
                engine.run(todo, self._subscribers, stop_requested)
            patience_s = 5.0
        finally:
            pool.close(patience_s)
            remove_partial(request.out, self._share_keys)

    def _worker_setup(self) -> WorkerSetup:
        request, spec = self._request, self.policy.spec
        env_spec = self._suite.env_spec
        cameras = tuple(need.name for need in spec.cameras)
        kept = tuple(camera for camera in env_spec.cameras if camera.name in cameras)
        return WorkerSetup(
            suite=request.suite,
            policy=request.policy,
            wrapping=request.wrapping,
            runs_in=spec.runs_in,
            cameras=cameras,
            layout=SlotLayout(env_spec.state.size, kept),
            gl_backend=None if self._gl.renderer is None else self._gl.backend,
            egl_device=request.egl_device,
            run_folder=request.out,
            video=request.video,
            record_actions=request.record_actions,
            subscribers=request.subscribers,
            ends=request.ends,
        )

    def _probe_gl(self) -> GlProbe:
        request = self._request
        backends = list(GlBackend) if request.gl is None else [request.gl]
        watched = request.video is not VideoMode.NONE or request.subscribers
        needed = self.policy.spec.cameras or watched
        try:
            return first_working(backends, request.egl_device)
        except MissingError as error:
            if needed:
                raise
            return GlProbe(backends[0], None, str(error))

    def _make_card(self) -> ProtocolCard:
        plan, spec = self._request.plan, self.policy.spec
        env = {
            **self._suite.card(),
            "split": plan.split.value,
            "instruction_split": plan.instruction_split,
            "seed_rule": SEED_RULE,
            "gl": self._gl.family,
        }
        policy = {
            **spec.card,
            "name": spec.name,
            "preset": spec.preset,
            "checkpoint": spec.checkpoint,
            "arm": self._request.arm,
            "chunk_steps": spec.chunk_steps,
            "open_loop_steps": spec.open_loop_steps,
            "max_batch": self._request.engine.max_batch if spec.runs_in is RunsIn.MAIN else 1,
        }
        return ProtocolCard(env=env, policy=policy)
