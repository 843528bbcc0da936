"""Layouts of states and actions from JSON; `dataclasses.asdict` makes it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sfbench.contracts.conventions import (
    Frame,
    Gripper,
    Quantity,
    Reference,
    Rotation,
    RotationSign,
)
from sfbench.contracts.specs import ActionSpec, VectorPart, VectorSpec


def vector_from_json(data: Mapping[str, Any]) -> VectorSpec:
    """A VectorSpec from what `dataclasses.asdict` and JSON made of it."""
    return VectorSpec(name=data["name"], parts=_parts(data["parts"]))


def action_from_json(data: Mapping[str, Any]) -> ActionSpec:
    """An ActionSpec from what `dataclasses.asdict` and JSON made of it."""
    return ActionSpec(name=data["name"], hz=data["hz"], parts=_parts(data["parts"]))


_CONVENTIONS = {
    "quantity": Quantity,
    "frame": Frame,
    "reference": Reference,
    "rotation": Rotation,
    "rotation_sign": RotationSign,
    "gripper": Gripper,
}


def _parts(data: Sequence[Mapping[str, Any]]) -> tuple[VectorPart, ...]:
    return tuple(VectorPart(**{key: _typed(key, part[key]) for key in part}) for part in data)


def _typed(key: str, value: Any) -> Any:  # noqa: ANN401 (JSON in, field out)
    if key in ("low", "high"):
        return tuple(value)
    if key in _CONVENTIONS and value is not None:
        return _CONVENTIONS[key](value)
    return value
