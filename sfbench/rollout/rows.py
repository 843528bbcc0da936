"""From an outcome to a row."""

import statistics
from collections.abc import Sequence

from sfbench.contracts import EpisodeRow, EpisodeSpec, PolicySpec, ProtocolCard, Suite
from sfbench.rollout.messages import Outcome


class RowMaker:
    """Adds to an outcome all that the run knows: policy, training, arm, card, leak."""

    def __init__(
        self, suite: Suite, policy: PolicySpec, arm: str | None, card: ProtocolCard
    ) -> None:
        self._suite = suite
        self._policy = policy
        self._arm = arm
        self._card = card

    def __call__(self, episode: EpisodeSpec, outcome: Outcome, attempt: int) -> EpisodeRow:
        """The row of a finished episode."""
        policy, times_s = self._policy, outcome.infer_times_s
        # A trained checkpoint knows its arm; the run's own label counts more.
        training = dict(policy.training)
        trained_arm = training.pop("arm", None)
        state_id = self._suite.state_id(episode.task, episode.split, episode.init_state)
        return EpisodeRow(
            suite=episode.suite,
            task=episode.task,
            instruction=episode.instruction,
            instruction_split=episode.instruction_split,
            init_state=episode.init_state,
            split=episode.split.value,
            seed=episode.seed,
            repeat=episode.repeat,
            status=outcome.status,
            cause=outcome.cause,
            steps=outcome.steps,
            success_step=outcome.success_step,
            policy=policy.name,
            preset=policy.preset,
            checkpoint=policy.checkpoint,
            **training,  # type: ignore[arg-type]
            arm=self._arm if self._arm is not None else trained_arm,  # type: ignore[arg-type]
            leak=state_id in policy.trained_states,
            scene=outcome.scene,
            infer_calls=len(times_s),
            infer_p50_s=statistics.median(times_s) if times_s else None,
            infer_p95_s=_percentile_95(times_s),
            wall_s=outcome.wall_s,
            infer_s=sum(times_s),
            sim_s=outcome.sim_s,
            render_s=outcome.render_s,
            attempt=attempt,
            video=outcome.video,
            error=outcome.error,
            card=self._card.row_hash(episode.task),
        )


def _percentile_95(times_s: Sequence[float]) -> float | None:
    if len(times_s) < 2:
        return times_s[0] if times_s else None
    return statistics.quantiles(times_s, n=20, method="inclusive")[-1]
