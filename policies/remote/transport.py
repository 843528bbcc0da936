"""One websocket to a server: reaching it, asking, and saying whose fault it is when that fails."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from websockets.frames import CloseCode
from websockets.protocol import State

from sfbench.errors import MissingError, PolicyError, SystemFaultError, UsageError

T = TypeVar("T")

_RETRY_S = 0.25
_CLOSE_S = 5.0
_BUSY = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a server is.

    Attributes:
        url: starting with ws:// or wss://.
        headers: sent when connecting; not printed, they may hold a token.
        max_message_bytes: of an answer.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_message_bytes: int


class Transport:
    """A connection. After an error it is closed: a late answer must not meet the next question."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: ClientConnection | None = None

    @property
    def alive(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self._connection is not None and self._connection.state is State.OPEN

    async def open(self, within_s: float) -> None:
        """Connect; a server that is not there yet, or full, is tried again.

        Raises:
            MissingError: it cannot be reached.
            UsageError: it answers, but not as a policy server.
        """
        end_s = time.monotonic() + within_s
        while True:
            left_s = end_s - time.monotonic()
            try:
                self._connection = await self._connect(max(left_s, 0.1))
                return
            except (OSError, TimeoutError, InvalidStatus) as error:
                if time.monotonic() + _RETRY_S >= end_s:
                    raise MissingError(
                        f"no policy server can be reached at {self._endpoint.url} within "
                        f"{within_s:g} s ({_reason(error)}). Start it, or set policy.host= and "
                        "policy.port="
                    ) from error
            await asyncio.sleep(_RETRY_S)

    async def _connect(self, within_s: float) -> ClientConnection:
        try:
            return await connect(
                self._endpoint.url,
                additional_headers=dict(self._endpoint.headers),
                compression=None,
                max_size=self._endpoint.max_message_bytes,
                max_queue=4,
                proxy=None,
                open_timeout=within_s,
                # A server may be busy compiling for minutes; answers have time limits of their own.
                ping_interval=None,
                close_timeout=1,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status == _BUSY:
                raise
            hint = "; set policy.token_env=" if status in (401, 403) else ""
            raise UsageError(f"{self._endpoint.url} refuses with HTTP {status}{hint}") from error
        except InvalidMessage as error:
            if isinstance(error.__cause__, EOFError):
                raise ConnectionAbortedError("it hung up before it had answered") from error
            raise self._stranger(error) from error
        except (InvalidURI, InvalidHandshake) as error:
            raise self._stranger(error) from error

    def _stranger(self, error: Exception) -> UsageError:
        return UsageError(f"{self._endpoint.url} is no policy server: {error}")

    async def send(self, data: bytes, within_s: float) -> None:
        """Send. Raises as `ask` does."""

        async def talk(connection: ClientConnection) -> None:
            await connection.send(data)

        await self._timed(within_s, talk)

    async def receive(self, within_s: float) -> bytes | str:
        """The next message. Raises as `ask` does."""

        async def talk(connection: ClientConnection) -> bytes | str:
            return await connection.recv()

        return await self._timed(within_s, talk)

    async def ask(self, data: bytes, within_s: float) -> bytes | str:
        """Send, and wait for the next message.

        Raises:
            PolicyError: no answer in time, one that is too large, or the server broke.
            SystemFaultError: the connection was lost.
        """

        async def talk(connection: ClientConnection) -> bytes | str:
            await connection.send(data)
            return await connection.recv()

        return await self._timed(within_s, talk)

    async def _timed(self, within_s: float, talk: Callable[[ClientConnection], Awaitable[T]]) -> T:
        connection = self._connection
        if connection is None:
            raise SystemFaultError(f"not connected to {self._endpoint.url}")
        try:
            async with asyncio.timeout(within_s):
                return await talk(connection)
        except TimeoutError as error:
            self._abort()
            raise PolicyError(
                f"the server at {self._endpoint.url} gave no answer within {within_s:g} s"
            ) from error
        except ConnectionClosed as error:
            await self.close()
            raise self._lost(error) from error

    def _lost(self, error: ConnectionClosed) -> PolicyError | SystemFaultError:
        url, limit = self._endpoint.url, self._endpoint.max_message_bytes
        if error.sent is not None and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
            return PolicyError(
                f"the server at {url} sent a message of more than {limit} bytes "
                "(policy.max_message_mb)"
            )
        if error.rcvd is not None and error.rcvd.code == CloseCode.MESSAGE_TOO_BIG:
            return PolicyError(f"the observation is too large for the server at {url}")
        if error.rcvd is not None and error.rcvd.code == CloseCode.INTERNAL_ERROR:
            return PolicyError(f"the server at {url} broke: {error.rcvd.reason}")
        return SystemFaultError(f"lost the connection to the server at {url}: {error}")

    async def close(self) -> None:
        """Close; may be called twice. A peer that does not read cannot hold it up."""
        connection = self._connection
        if connection is None:
            return
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await connection.close()
        self._abort()

    def _abort(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.transport.abort()


def _reason(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code}: all its sessions are in use"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
