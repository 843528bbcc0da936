"""One connection of an openpi client.

The server sends its metadata, then answers each observation with a chunk of actions. The protocol
has no message for the start of an episode: it begins with a connection, and whenever the
instruction changes. An error is a text frame, after which the connection is closed, as openpi's own
server does. Source: `openpi.serving.websocket_policy_server` (openpi 15a9616).
"""

import asyncio
import time
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode

from sfbench.errors import PolicyError
from sfbench.serving.arrays import OPENPI, MessageError, pack, unpack
from sfbench.serving.binding import Protocol
from sfbench.serving.episodes import EPISODE_KEY
from sfbench.serving.service import PolicyService, Session


async def serve_openpi(connection: ServerConnection, service: PolicyService) -> None:
    """Answer until the client goes."""
    metadata = {"sfbench": service.describe(Protocol.OPENPI)}
    await connection.send(pack(metadata, OPENPI))
    last_total_s: float | None = None
    with service.session() as session:
        async for data in connection:
            start_s = time.perf_counter()
            try:
                answer = await _answer(data, service, session)
            except (MessageError, PolicyError) as error:
                await connection.send(str(error))
                await connection.close(CloseCode.INTERNAL_ERROR, "see the text before")
                return
            timing = {"infer_ms": session.infer_s * 1000}
            if last_total_s is not None:
                timing["prev_total_ms"] = last_total_s * 1000
            await connection.send(pack({**answer, "server_timing": timing}, OPENPI))
            last_total_s = time.perf_counter() - start_s


async def _answer(data: bytes | str, service: PolicyService, session: Session) -> dict[str, Any]:
    if isinstance(data, str):
        raise MessageError("a text frame; observations are binary")
    limit = service.limits.max_message_bytes
    message = await asyncio.to_thread(unpack, data, OPENPI, limit)
    if not isinstance(message, dict):
        raise MessageError(f"an observation that is a {type(message).__name__}, not a map")
    seen = service.see(message)
    told = message.get(EPISODE_KEY)
    if told is not None or session.needs_begin(seen.instruction):
        await session.begin(session.context(told, seen.instruction, task=seen.instruction))
    return {"actions": await session.act(seen)}
