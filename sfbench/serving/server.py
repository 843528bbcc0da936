"""The websocket server: who may connect, health, limits, and a clean end."""

import asyncio
import base64
import hmac
import ipaddress
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from sfbench.errors import UsageError
from sfbench.serving.binding import Protocol
from sfbench.serving.openpi_session import serve_openpi
from sfbench.serving.service import PolicyService
from sfbench.serving.vla_eval_session import serve_vla_eval

HEALTH_PATHS = ("/healthz", "/health")
"""openpi's and vla-evaluation-harness's; both answer in either protocol."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_HANDLERS: dict[Protocol, Callable[[ServerConnection, PolicyService], Awaitable[None]]] = {
    Protocol.OPENPI: serve_openpi,
    Protocol.VLA_EVAL: serve_vla_eval,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen.

    Attributes:
        host: a name or an address of this machine.
        port: 0: any free one.
        token: that clients must show; needed where others than this machine can connect.
    """

    host: str
    port: int
    token: str | None = None

    def __post_init__(self) -> None:
        """Raises UsageError."""
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port={self.port}: allowed 0 (any free one) to 65535")
        if self.token is not None and not self.token:
            raise UsageError("token= is empty; leave it out, or give it a text")
        if self.token is None and not _is_loopback(self.host):
            raise UsageError(
                f"host={self.host} lets other machines connect, and no token is set. Add "
                "token_env=NAME (an environment variable that holds a secret), or listen on "
                "127.0.0.1 and forward the port, as with `ssh -L`"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def listen(address: Address) -> socket.socket:
    """Take the port, before anything slow happens; nobody can connect yet.

    Raises:
        UsageError: it is occupied, or no address of this machine.
    """
    # Where `localhost` is IPv6 first, clients that ask for 127.0.0.1 would find nobody.
    host = "127.0.0.1" if address.host == "localhost" else address.host
    port = address.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        taken = socket.socket(family, socket.SOCK_STREAM)
        # A port that the last server left a moment ago may be used; one in use may not.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, port))
            # Two processes could both bind, but not both listen. Clients wait until we accept.
            taken.listen()
        except OSError:
            taken.close()
            raise
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}; stop what uses it, or choose "
            "another port="
        ) from error
    return taken


class PolicyServer:
    """Serves one policy over one protocol.

    Attributes:
        url: where clients connect.
    """

    def __init__(
        self, service: PolicyService, protocol: Protocol, address: Address, taken: socket.socket
    ) -> None:
        self._service = service
        self._handler = _HANDLERS[protocol]
        self._token = address.token
        self._socket = taken
        host, port = taken.getsockname()[:2]
        self.url = f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM; a second one ends the process at once."""
        stop = stop_event()
        batching = asyncio.create_task(self._service.batcher.run())
        try:
            async with self._serve():
                on_ready()
                await stop.wait()
                batching.cancel()
                self._service.batcher.abandon()
        finally:
            batching.cancel()
            self._service.batcher.close()

    def _serve(self) -> Server:
        limit = self._service.limits.max_message_bytes
        return serve(
            self._connected,
            sock=self._socket,
            process_request=self._admit,
            # No browser: a page that the user visits must not reach a policy on this machine.
            origins=[None],
            compression=None,
            max_size=limit,
            max_queue=2,
            # A simulator may keep a client busy for longer than any fair answer to a ping.
            ping_interval=None,
            close_timeout=2,
        )

    async def _connected(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await self._handler(connection, self._service)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path in HEALTH_PATHS:
            return connection.respond(HTTPStatus.OK, "OK\n")
        if self._token is not None and not _shows(request, self._token):
            return connection.respond(
                HTTPStatus.UNAUTHORIZED,
                "send the header `Authorization: Api-Key TOKEN`, or connect to "
                "ws://any:TOKEN@HOST:PORT\n",
            )
        if self._service.full:
            count = self._service.limits.max_sessions
            return connection.respond(
                HTTPStatus.SERVICE_UNAVAILABLE, f"all {count} sessions are in use\n"
            )
        return None


def stop_event() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the next one then kills this process as by default."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def ask() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            # That leaves SIGINT to raise KeyboardInterrupt, whose clean-up waits for the policy.
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, ask)
    return stop


def _shows(request: Request, token: str) -> bool:
    """Whether a request carries the token: as openpi's clients do, as a bearer, or in the URL."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Basic":
        with suppress(ValueError):
            value = base64.b64decode(value).decode().partition(":")[2]
    return hmac.compare_digest(value.encode(), token.encode())
