"""One connection of a vla-evaluation-harness client.

It sends an observation for every control step and gets one action back; a new chunk is asked of the
policy when the last one's `open_loop_steps` are used up.
"""

import asyncio
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.server import ServerConnection

import sfbench
from sfbench.errors import PolicyError
from sfbench.serving.arrays import MessageError
from sfbench.serving.binding import Protocol
from sfbench.serving.episodes import EPISODE_KEY
from sfbench.serving.service import PolicyService, Session
from sfbench.serving.vla_eval import (
    Message,
    MessageType,
    check_version,
    declared,
    hello,
    pack_message,
    unpack_message,
)

GAVE_UP = "gave_up"
"""In an ERROR's payload: the policy ends the episode. Our own client counts it as a failure."""


async def serve_vla_eval(connection: ServerConnection, service: PolicyService) -> None:
    """Answer until the client goes."""
    with service.session() as session:
        client = _Client(service, session)
        async for data in connection:
            seq = 0
            try:
                message = await asyncio.to_thread(
                    unpack_message, data, service.limits.max_message_bytes
                )
                seq = message.seq
                answer = await client.answer(message)
            except (MessageError, PolicyError) as error:
                answer = Message(MessageType.ERROR, {"error": str(error)}, seq)
            if answer is not None:
                await connection.send(pack_message(answer))


class _Client:
    """Where the conversation with one client stands."""

    def __init__(self, service: PolicyService, session: Session) -> None:
        self._service = service
        self._session = session
        self._greeted = False
        self._start: dict[str, Any] | None = None
        """The EPISODE_START of the running episode."""
        self._fresh = False
        """No observation has come since."""
        self._ahead: deque[NDArray[np.float64]] = deque()
        """Actions predicted but not asked for yet."""

    async def answer(self, message: Message) -> Message | None:
        """What to reply, if anything. Raises MessageError and PolicyError."""
        if message.type is MessageType.HELLO:
            check_version(message.payload)
            self._greeted = True
            return Message(MessageType.HELLO, self._hello(), message.seq)
        if not self._greeted:
            raise MessageError("the first message must be a HELLO with the protocol version")
        if message.type is MessageType.EPISODE_START:
            self._start, self._fresh = dict(message.payload), True
            self._ahead.clear()
        elif message.type is MessageType.EPISODE_END:
            self._start = None
            self._ahead.clear()
        elif message.type is MessageType.OBSERVATION:
            return await self._act(message)
        elif message.type is MessageType.ACTION:
            raise MessageError("an ACTION from a client; only servers send these")
        return None

    def _hello(self) -> dict[str, Any]:
        service = self._service
        wire, handshake = service.wire, service.wire.handshake
        read = {need.name for need in service.spec.cameras}
        params = dict(handshake.params)
        params |= {
            image.param: True for image in wire.images if image.param and image.suite.name in read
        }
        if wire.state is not None and wire.state.param and service.spec.state is not None:
            params[wire.state.param] = True
        return hello(
            f"sfbench-{sfbench.__version__}",
            model_server=service.spec.name,
            capabilities={},
            observation_params=params,
            sfbench=service.describe(Protocol.VLA_EVAL),
            **declared(handshake),
        )

    async def _act(self, message: Message) -> Message:
        if self._start is None:
            raise MessageError("an OBSERVATION outside an episode; send EPISODE_START first")
        instruction = self._service.wire.instruction_of(message.payload)
        if self._fresh or self._session.needs_begin(instruction):
            # A harness may change the instruction within an episode: for a policy that is another.
            await self._begin(instruction)
        if not self._ahead:
            seen = self._service.see(message.payload)
            self._ahead.extend(await self._session.act(seen))
        if not self._ahead:
            text = "the policy gave the episode up"
            return Message(MessageType.ERROR, {"error": text, GAVE_UP: True}, message.seq)
        return Message(MessageType.ACTION, {"actions": self._ahead.popleft()}, message.seq)

    async def _begin(self, instruction: str) -> None:
        assert self._start is not None
        self._ahead.clear()
        task = self._start.get("task")
        known = task if isinstance(task, dict) else {}
        index = known.get("episode_idx")
        context = self._session.context(
            self._start.get(EPISODE_KEY) if self._fresh else None,
            instruction,
            task=str(known.get("name", instruction)),
            index=index if isinstance(index, int) else None,
        )
        await self._session.begin(context)
        self._fresh = False
