"""Helpers: a real `sfbench serve` process, and bare clients for both protocols."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection, connect

from sfbench.serving.arrays import OPENPI, pack, unpack
from sfbench.serving.vla_eval import Message, MessageType, hello, pack_message, unpack_message
from tests.conftest import start_cli

LIMIT = 10_000_000


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    port: int
    process: "subprocess.Popen[str]"

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Stop it; its exit status and what it wrote to stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=120)
        return self.process.returncode, err


@contextlib.contextmanager
def serving(*arguments: str, env: dict[str, str] | None = None) -> Iterator[Served]:
    """`sfbench serve`, on a free port unless one is named, until the block ends."""
    port = () if any(item.startswith("port=") for item in arguments) else ("port=0",)
    process = start_cli("serve", *port, *arguments, env={**os.environ, **(env or {})})
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "at ws://" not in line:
            raise AssertionError(process.communicate(timeout=120)[1])
        url = line.partition(" at ")[2].split()[0]
        yield Served(url, int(url.rpartition(":")[2]), process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def toy_observation(seed: int, prompt: str = "push") -> dict[str, Any]:
    """An observation of the toy suite, by its native names; both protocols' instruction keys."""
    stream = np.random.default_rng(seed)
    return {
        "images": {"top": stream.integers(0, 256, (32, 32, 3), np.uint8)},
        "state": stream.uniform(-0.5, 0.5, 4),
        "prompt": prompt,
        "task_description": prompt,
    }


class OpenpiPeer:
    """A minimal client of the openpi protocol."""

    def __init__(self, served: Served, **options: Any) -> None:
        self._open = contextlib.ExitStack()
        self.connection: ClientConnection = self._open.enter_context(
            connect(served.url, max_size=None, **options)
        )
        self.metadata = unpack(self._bytes(), OPENPI, LIMIT)

    def infer(self, observation: Any) -> Any:
        """The answer: a map, or an error's text."""
        self.connection.send(pack(observation, OPENPI))
        answer = self.connection.recv(timeout=120)
        return answer if isinstance(answer, str) else unpack(answer, OPENPI, LIMIT)

    def close(self) -> None:
        self._open.close()

    def _bytes(self) -> bytes:
        data = self.connection.recv(timeout=120)
        assert isinstance(data, bytes)
        return data


class VlaEvalPeer:
    """A minimal client of the vla_eval protocol."""

    def __init__(self, served: Served, greet: bool = True) -> None:
        self._open = contextlib.ExitStack()
        self.connection: ClientConnection = self._open.enter_context(
            connect(served.url, max_size=None)
        )
        self.seq = 0
        self.hello = self.ask(MessageType.HELLO, hello("test")) if greet else None

    def tell(self, kind: MessageType, payload: dict[str, Any]) -> None:
        self.seq += 1
        self.connection.send(pack_message(Message(kind, payload, self.seq)))

    def ask(self, kind: MessageType, payload: dict[str, Any]) -> Message:
        self.tell(kind, payload)
        return unpack_message(self.connection.recv(timeout=120), LIMIT)

    def start(self, **task: Any) -> None:
        self.tell(MessageType.EPISODE_START, {"task": task})

    def act(self, observation: dict[str, Any]) -> Any:
        """The action; an error is raised."""
        answer = self.ask(MessageType.OBSERVATION, observation)
        assert answer.seq == self.seq
        if answer.type is MessageType.ERROR:
            raise RuntimeError(answer.payload["error"])
        assert answer.type is MessageType.ACTION
        return answer.payload["actions"]

    def close(self) -> None:
        self._open.close()
