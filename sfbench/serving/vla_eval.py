"""Messages of vla-evaluation-harness, protocol version 1.

A client says HELLO and is answered with the server's specs; then EPISODE_START, one OBSERVATION for
each control step, each answered with an ACTION or an ERROR of the same `seq`, and EPISODE_END. The
server decides about chunks: it may answer from a chunk that it predicted earlier. Source:
`vla_eval.protocol.messages`, `vla_eval.model_servers.serve` and `predict` of vla-eval 0.8.0.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sfbench.contracts import Json
from sfbench.serving.arrays import VLA_EVAL, MessageError, pack, unpack
from sfbench.serving.wire import Dim, Handshake

PROTOCOL_VERSION = 1

RAW_FORMAT = "raw"
"""A component of which its sender says nothing."""


class MessageType(StrEnum):
    """What a message is."""

    HELLO = "hello"
    OBSERVATION = "observation"
    ACTION = "action"
    EPISODE_START = "episode_start"
    EPISODE_END = "episode_end"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `seq` of an answer is that of its question."""

    type: MessageType
    payload: Mapping[str, Any]
    seq: int


def pack_message(message: Message) -> bytes:
    """A message as bytes."""
    content = {
        "type": message.type.value,
        "payload": message.payload,
        "seq": message.seq,
        "timestamp": time.time(),
    }
    return pack(content, VLA_EVAL)


def unpack_message(data: bytes | str, max_unpacked_bytes: int) -> Message:
    """The message in some bytes. Raises MessageError."""
    if isinstance(data, str):
        raise MessageError("a text frame; messages are binary")
    content = unpack(data, VLA_EVAL, max_unpacked_bytes)
    if not isinstance(content, dict):
        raise MessageError(f"a message that is a {type(content).__name__}, not a map")
    kind, payload, seq = (content.get(name) for name in ("type", "payload", "seq"))
    types = [item.value for item in MessageType]
    if kind not in types:
        raise MessageError(f"a message of type {kind!r}; allowed {', '.join(types)}")
    if not isinstance(payload, dict) or not isinstance(seq, int):
        raise MessageError(f"a message of type {kind} without a map `payload` and a number `seq`")
    return Message(MessageType(kind), payload, seq)


def hello(software: str, **more: Json) -> dict[str, Json]:
    """The payload of a HELLO."""
    return {"harness_version": software, "protocol_version": PROTOCOL_VERSION, **more}


def check_version(payload: Mapping[str, Any]) -> None:
    """Raises MessageError for a HELLO of another protocol version, or of none."""
    version = payload.get("protocol_version")
    if version != PROTOCOL_VERSION:
        raise MessageError(
            f"vla_eval protocol version {version!r} is not known here; this side speaks version "
            f"{PROTOCOL_VERSION}"
        )


def declared(handshake: Handshake) -> dict[str, Json]:
    """The specs as a server's HELLO carries them."""
    return {
        "action_spec": _declared(handshake.action_spec),
        "observation_spec": _declared(handshake.observation_spec),
    }


def _declared(spec: Mapping[str, Dim]) -> dict[str, Json]:
    return {
        name: {"name": name, "dims": dim.dims, "format": dim.format} for name, dim in spec.items()
    }


def spec_problems(
    label: str, theirs: Mapping[str, Any], ours: Mapping[str, Dim], required: bool
) -> list[str]:
    """In which components a server's declared spec differs from a mapping's.

    Args:
        label: `action` or `observation`.
        theirs: as its HELLO has it; components of format `raw` say nothing and are passed over.
        ours: the mapping's.
        required: whether a component that only the server names is a problem too.
    """
    problems = []
    for name, dim in theirs.items():
        dims, form = (dim.get("dims"), dim.get("format")) if isinstance(dim, dict) else (None, None)
        if form == RAW_FORMAT:
            continue
        if name not in ours:
            if required:
                problems.append(f"{label} '{name}': server has {form}, mapping has none")
            continue
        mine = ours[name]
        if form != mine.format and mine.format not in (dim.get("accepts") or ()):
            problems.append(f"{label} '{name}': server has {form}, mapping has {mine.format}")
        elif dims and mine.dims and dims != mine.dims:
            problems.append(f"{label} '{name}': server has {dims} numbers, mapping {mine.dims}")
    return problems
