"""The scheduler: hands out episodes, batches the policy, keeps the journal, outlives workers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sfbench.contracts import Cause, EpisodeRow, EpisodeSpec, Policy, RunsIn, Status
from sfbench.errors import StoppedError, UsageError
from sfbench.rollout.actors import cause_of, describe, episode_context
from sfbench.rollout.journal import Journal
from sfbench.rollout.messages import Abandon, Act, Note, Observed, Outcome, Refused, Start
from sfbench.rollout.pending import Pending, PendingEpisodes
from sfbench.rollout.pool import Deadlines, Died, WorkerHandle, WorkerPool

_POLL_S = 0.25
"""How often deadlines and stop requests are looked at when nothing arrives."""

_MAX_START_DEATHS = 3
"""Workers in a row that may die before they are ready."""

_MAX_REFUSALS = 3
"""Workers that may refuse, with no episode finished in between, once there are rows."""


class RunSubscriber(Protocol):
    """Watches a run from the main process: progress bar, log, tracker."""

    def on_start(self, planned: int, done: Sequence[EpisodeRow]) -> None:
        """The run starts or resumes."""

    def on_row(self, row: EpisodeRow) -> None:
        """An episode is in the journal."""

    def on_event(self, text: str) -> None:
        """Something worth a line: a worker died, an episode is retried."""

    def on_end(self) -> None:
        """The run is over, for whatever reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How a run is executed; none of it may change a row (but see `max_batch`).

    Attributes:
        max_batch: observations per policy call; above 1, float rounding may depend on the batch.
        batch_wait_s: how long a slot may wait for others to fill the batch.
        max_attempts: tries of an episode that ends in a system error.
        deadlines: per operation of a worker.
    """

    max_batch: int = 1
    batch_wait_s: float = 0.005
    max_attempts: int = 3
    deadlines: Deadlines = field(default_factory=Deadlines)


class RolloutEngine:
    """Runs episodes over a pool of workers until each has a row."""

    def __init__(
        self,
        pool: WorkerPool,
        policy: Policy,
        journal: Journal,
        make_row: Callable[[EpisodeSpec, Outcome, int], EpisodeRow],
        settings: EngineSettings,
    ) -> None:
        self._pool = pool
        self._policy = policy
        self._journal = journal
        self._make_row = make_row
        self._settings = settings
        self._pending = PendingEpisodes(())
        self._running: dict[int, Pending] = {}
        self._waiting: dict[int, float] = {}
        self._last_task: dict[int, str] = {}
        self._start_deaths = 0
        self._refusals = 0
        self._has_rows = False
        self._subscribers: Sequence[RunSubscriber] = ()

    def run(
        self,
        episodes: Sequence[EpisodeSpec],
        subscribers: Sequence[RunSubscriber],
        stop_requested: Callable[[], bool],
    ) -> None:
        """Run all episodes.

        Raises:
            StoppedError: stop was requested, the disk is full, or workers cannot be started or
                refuse to go on.
            UsageError: a worker refused before there was a row.
        """
        self._subscribers = subscribers
        self._pending = PendingEpisodes(episodes)
        while self._pending or self._running:
            if stop_requested():
                raise StoppedError(
                    f"stopped with {len(self._pending) + len(self._running)} episodes to go; "
                    "finished ones are kept. Run the same command again to resume"
                )
            self._assign()
            self._serve_policy()
            for worker, message in self._pool.poll(self._poll_time_s()):
                self._handle(worker, message)
            for worker, death in self._pool.overdue(self._settings.deadlines):
                self._handle(worker, death)

    # -- handing out episodes

    def _assign(self) -> None:
        for slot, worker in self._pool.workers.items():
            while worker.ready and slot not in self._running and self._pending:
                others = {task for other, task in self._last_task.items() if other != slot}
                self._start(worker, self._pending.take(self._last_task.get(slot), others))

    def _start(self, worker: WorkerHandle, item: Pending) -> None:
        self._last_task[worker.slot] = item.episode.task
        if self._policy.spec.runs_in is RunsIn.MAIN:
            try:
                self._policy.reset(worker.slot, episode_context(item.episode))
            except Exception as error:  # noqa: BLE001 (a policy may raise anything)
                self._finish(item, _error_outcome(describe(error), cause_of(error)))
                return
        self._running[worker.slot] = item
        worker.send(Start(item.episode))

    # -- the policy

    def _serve_policy(self) -> None:
        batch = self._due_batch()
        if not batch:
            return
        for slot in batch:
            del self._waiting[slot]
        observations = [self._pool.workers[slot].observation() for slot in batch]
        start_s = time.perf_counter()
        try:
            chunks = list(self._policy.act(observations, batch))
            if len(chunks) != len(batch):
                raise ValueError(f"{len(batch)} observations, but {len(chunks)} chunks came back")
        except Exception as error:  # noqa: BLE001 (a policy may raise anything)
            self._policy_failed(batch, Abandon(describe(error), cause_of(error)))
            return
        infer_s = time.perf_counter() - start_s
        for slot, chunk in zip(batch, chunks, strict=True):
            self._pool.workers[slot].send(Act(chunk, infer_s))

    def _due_batch(self) -> list[int]:
        """The slots to serve now: a full batch, all that can come, or who waited long enough."""
        oldest_first = sorted(self._waiting, key=lambda slot: self._waiting[slot])
        for slot in oldest_first:
            if self._running[slot].alone:
                return [slot]
        batch = oldest_first[: self._settings.max_batch]
        full = len(batch) == self._settings.max_batch
        nobody_else_comes = len(self._waiting) == len(self._running)
        if batch and (full or nobody_else_comes or self._waited_s(batch[0]) >= self._patience_s()):
            return batch
        return []

    def _policy_failed(self, batch: Sequence[int], end: Abandon) -> None:
        for slot in batch:
            item = self._running[slot]
            if len(batch) > 1:
                self._event(f"a batch of {len(batch)} failed ({end.error}); retrying one by one")
                self._pending.put_back(Pending(item.episode, item.attempt, alone=True))
                self._running[slot] = Pending(item.episode, 0, alone=True)
            self._pool.workers[slot].send(end)

    def _waited_s(self, slot: int) -> float:
        return time.monotonic() - self._waiting[slot]

    def _patience_s(self) -> float:
        return self._settings.batch_wait_s

    def _poll_time_s(self) -> float:
        if not self._waiting:
            return _POLL_S
        oldest = max(self._waited_s(slot) for slot in self._waiting)
        return min(_POLL_S, max(0.0, self._patience_s() - oldest))

    # -- what workers say

    def _handle(self, worker: WorkerHandle, message: object) -> None:
        slot = worker.slot
        if isinstance(message, Observed):
            self._waiting[slot] = time.monotonic()
        elif isinstance(message, Outcome):
            self._refusals = 0
            self._finish(self._running.pop(slot), message)
        elif isinstance(message, Died):
            self._replace(worker, message)
        elif isinstance(message, Note):
            self._event(message.text)
        elif isinstance(message, Refused):
            self._refused(worker, message)
        else:
            self._start_deaths = 0  # Ready

    def _refused(self, worker: WorkerHandle, message: Refused) -> None:
        """Before the first row the request is taken to be wrong; after it, the machine to fail."""
        if message.stopped:
            raise StoppedError(message.reason)
        if not self._has_rows:
            raise UsageError(message.reason)
        self._refusals += 1
        if self._refusals >= _MAX_REFUSALS:
            raise StoppedError(
                f"{message.reason}\n{self._refusals} workers in a row said so. Finished episodes "
                "are kept; mend it and run the same command again to resume"
            )
        self._replace(worker, worker.reap(message.reason))

    def _finish(self, item: Pending, outcome: Outcome) -> None:
        if item.attempt == 0:
            return  # Abandoned with its batch; it is pending again already.
        broken = outcome.status is Status.ERROR and outcome.cause is Cause.SYSTEM
        if broken and item.attempt < self._settings.max_attempts:
            self._event(
                f"{_label(item.episode)}: {outcome.error}; attempt {item.attempt} of "
                f"{self._settings.max_attempts}, trying again"
            )
            self._pending.put_back(Pending(item.episode, item.attempt + 1, item.alone))
            return
        self._record(item, outcome)

    def _replace(self, worker: WorkerHandle, death: Died) -> None:
        slot = worker.slot
        self._waiting.pop(slot, None)
        self._event(f"worker {slot}: {death.reason}" + (f"\n{death.log}" if death.log else ""))
        item = self._running.pop(slot, None)
        if not worker.ready:
            self._start_deaths += 1
            if self._start_deaths >= _MAX_START_DEATHS:
                raise StoppedError(
                    f"{self._start_deaths} workers in a row died while starting: {death.reason}. "
                    f"{death.log}\nType `sfbench doctor` to find out why"
                )
        if item is not None:
            self._finish(item, _error_outcome(death.reason, Cause.SYSTEM))
        self._pool.replace(worker)

    def _record(self, item: Pending, outcome: Outcome) -> None:
        row = self._make_row(item.episode, outcome, item.attempt)
        self._journal.append(row)
        self._has_rows = True
        for subscriber in self._subscribers:
            subscriber.on_row(row)

    def _event(self, text: str) -> None:
        for subscriber in self._subscribers:
            subscriber.on_event(text)


def _error_outcome(error: str, cause: Cause) -> Outcome:
    return Outcome(status=Status.ERROR, cause=cause, error=error)


def _label(episode: EpisodeSpec) -> str:
    return f"{episode.task} #{episode.init_state} seed {episode.seed} repeat {episode.repeat}"
