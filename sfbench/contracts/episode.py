"""Episodes: planned (EpisodeSpec), and finished (EpisodeRow, one JSON line of a journal)."""

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, NamedTuple

from sfbench.contracts.conventions import Split

ROW_SCHEMA = 1
"""Version of the row format; a reader refuses rows of a later one."""

VOLATILE_FIELDS = frozenset(
    {"infer_p50_s", "infer_p95_s", "wall_s", "infer_s", "sim_s", "render_s", "attempt"}
)
"""The only row fields in which two equal runs may differ."""


class Status(StrEnum):
    """How an episode ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    """Not a measurement: something broke. `cause` says whose fault it was."""
    INVALID = "invalid"
    """Not a measurement: solved at reset, or a corrupt frame."""


class Cause(StrEnum):
    """Whose fault an error is."""

    POLICY = "policy"
    SYSTEM = "system"


class EpisodeKey(NamedTuple):
    """What makes an episode unique within a run."""

    suite: str
    task: str
    init_state: int
    seed: int
    repeat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSpec:
    """One planned episode."""

    suite: str
    task: str
    instruction: str
    instruction_split: str
    """`seen` or `unseen`."""
    init_state: int
    split: Split
    seed: int
    repeat: int
    budget_steps: int

    @property
    def key(self) -> EpisodeKey:
        """The episode's identity within a run."""
        return EpisodeKey(self.suite, self.task, self.init_state, self.seed, self.repeat)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRow:
    """One finished episode; the journal's unit, from which every table is recomputed."""

    schema: int = ROW_SCHEMA
    suite: str
    task: str
    instruction: str
    instruction_split: str
    init_state: int
    split: str
    seed: int
    repeat: int
    status: Status
    cause: Cause | None
    steps: int
    """Policy steps used."""
    success_step: int | None
    """Steps used when the task was first solved."""
    policy: str
    preset: str | None
    checkpoint: str | None
    train_step: int | None = None
    train_seed: int | None = None
    demos: int | None = None
    demos_share: float | None = None
    dataset: str | None = None
    recipe: str | None = None
    arm: str | None
    leak: bool
    scene: str
    infer_calls: int
    infer_p50_s: float | None
    infer_p95_s: float | None
    wall_s: float
    infer_s: float
    sim_s: float
    render_s: float
    attempt: int
    video: str | None
    error: str | None
    card: str

    @property
    def key(self) -> EpisodeKey:
        """The episode's identity within a run."""
        return EpisodeKey(self.suite, self.task, self.init_state, self.seed, self.repeat)

    def to_json(self) -> dict[str, Any]:
        """A plain dict in field order."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "EpisodeRow":
        """Inverse of `to_json`.

        Raises:
            ValueError: a field is missing, unknown, or of a later schema.
        """
        if data.get("schema") != ROW_SCHEMA:
            raise ValueError(f"row schema {data.get('schema')!r}; this version reads {ROW_SCHEMA}")
        names = {item.name for item in fields(cls)}
        if wrong := names.symmetric_difference(data):
            raise ValueError(f"missing or unknown row fields: {', '.join(sorted(wrong))}")
        cause = data["cause"]
        return cls(
            **{
                **data,
                "status": Status(data["status"]),
                "cause": None if cause is None else Cause(cause),
            }
        )
