"""Servers of both protocols that behave as a test says, in a thread of the test's process."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from sfbench.serving.arrays import OPENPI, pack, unpack
from sfbench.serving.vla_eval import Message, MessageType, hello, pack_message, unpack_message

LIMIT = 50_000_000

Talk = Callable[[ServerConnection], Awaitable[None]]


@dataclass
class Fake:
    """A running fake."""

    port: int
    die: Callable[[], Awaitable[None]]
    """For handlers: nobody listens any more, and every connection breaks."""
    connections: int = 0


@contextlib.contextmanager
def fake_server(talk: Talk, port: int = 0) -> Iterator[Fake]:
    """A websocket server whose connections are handled by `talk`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=30)

    async def handle(connection: ServerConnection) -> None:
        fake.connections += 1
        with contextlib.suppress(ConnectionClosed):
            await talk(connection)

    async def start() -> Server:
        return await serve(
            handle, "127.0.0.1", port, compression=None, max_size=None, ping_interval=None
        )

    server = run(start())

    async def end() -> None:
        server.close()
        for connection in list(server.connections):
            connection.transport.abort()

    async def finish() -> None:
        await end()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    fake = Fake(server.sockets[0].getsockname()[1], end)
    try:
        yield fake
    finally:
        run(finish())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)


def push(observation: dict[str, Any], steps: int = 4) -> np.ndarray:
    """What solves the toy suite: straight to the mark."""
    state = observation["state"]
    return np.tile(5 * (state[2:] - state[:2]), (steps, 1))


Answer = Callable[[ServerConnection, dict[str, Any]], Awaitable[Any]]
"""Gets the connection and an observation; gives the actions, or None if it has replied itself."""


def openpi_talk(answer: Answer, metadata: Any = None) -> Talk:
    """The openpi protocol around an answer."""

    async def talk(connection: ServerConnection) -> None:
        await connection.send(pack({} if metadata is None else metadata, OPENPI))
        async for data in connection:
            assert isinstance(data, bytes)
            actions = await answer(connection, unpack(data, OPENPI, LIMIT))
            if actions is not None:
                await connection.send(pack({"actions": actions}, OPENPI))

    return talk


def vla_eval_talk(answer: Answer, **greeting: Any) -> Talk:
    """The vla_eval protocol around an answer."""

    async def talk(connection: ServerConnection) -> None:
        async for data in connection:
            message = unpack_message(data, LIMIT)
            if message.type is MessageType.HELLO:
                payload = {**hello("fake", model_server="Fake"), **greeting}
                await reply(connection, MessageType.HELLO, payload, message.seq)
            elif message.type is MessageType.OBSERVATION:
                connection.seq = message.seq  # type: ignore[attr-defined]
                actions = await answer(connection, dict(message.payload))
                if actions is not None:
                    payload = {"actions": actions}
                    await reply(connection, MessageType.ACTION, payload, message.seq)

    return talk


async def reply(
    connection: ServerConnection, kind: MessageType, payload: dict[str, Any], seq: int
) -> None:
    """One vla_eval message."""
    await connection.send(pack_message(Message(kind, payload, seq)))


async def good(connection: ServerConnection, observation: dict[str, Any]) -> Any:
    """Chunks that solve the toy suite."""
    return push(observation)


async def good_single(connection: ServerConnection, observation: dict[str, Any]) -> Any:
    """Single actions that do."""
    return push(observation, 1)[0]
