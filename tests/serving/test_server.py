"""A real server process: sessions, batches, limits, errors, the end."""

import asyncio
import base64
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgpack
import numpy as np
import pytest
from sfbench_toy.policies import ChaseConfig
from sfbench_toy.suite import ToyConfig
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sfbench.contracts import EpisodeContext, EpisodeSpec, Observation, PolicyContext, Split
from sfbench.registry import PolicyRecipe, SuiteRecipe
from sfbench.rollout.seeds import policy_seed
from sfbench.serving.arrays import OPENPI, pack
from sfbench.serving.server import stop_event
from sfbench.serving.vla_eval import MessageType, hello
from tests.conftest import Cli, start_cli
from tests.serving.running import OpenpiPeer, Served, VlaEvalPeer, serving, toy_observation

TOY = ("policy=toy_chase", "suite=toy")
FAULTY = ("policy=toy_faulty", "suite=toy", "policy.fault_state=0")


@pytest.fixture(scope="module")
def openpi() -> Iterator[Served]:
    with serving(*TOY, "protocol=openpi", "max_message_mb=1", "batch_wait_s=0.05") as served:
        yield served


@pytest.fixture(scope="module")
def vla_eval() -> Iterator[Served]:
    with serving(*TOY, "protocol=vla_eval", "policy.chunk_steps=3", "open_loop_steps=2") as served:
        yield served


def local_chunks(observations: list[dict], episode: EpisodeSpec, steps: int) -> list[np.ndarray]:
    """What the policy says without a server."""
    env_spec = SuiteRecipe("toy", ToyConfig()).build().env_spec
    policy = PolicyRecipe("toy_chase", ChaseConfig(chunk_steps=steps)).build(
        PolicyContext(env_spec=env_spec)
    )
    policy.reset(0, EpisodeContext(episode, policy_seed(episode.key)))
    seen = [Observation(images=item["images"], state=item["state"]) for item in observations]
    return [np.asarray(policy.act([item], [0])[0]) for item in seen]


def episode(task: str, instruction: str, index: int) -> EpisodeSpec:
    return EpisodeSpec(
        suite="toy",
        task=task,
        instruction=instruction,
        instruction_split="seen",
        init_state=index,
        split=Split.EVAL,
        seed=0,
        repeat=0,
        budget_steps=40,
    )


# -- openpi


def test_openpi_answers_with_the_policys_chunks(openpi: Served) -> None:
    peer = OpenpiPeer(openpi)
    assert peer.metadata["sfbench"]["policy"]["name"] == "toy_chase"
    assert peer.metadata["sfbench"]["reads"] == {"cameras": ["top"], "state": True}
    seen = [toy_observation(seed) for seed in range(3)]
    expected = local_chunks(seen, episode("push", "push", 0), steps=4)
    for observation, chunk in zip(seen, expected, strict=True):
        answer = peer.infer(observation)
        np.testing.assert_array_equal(answer["actions"], chunk)
        assert answer["server_timing"]["infer_ms"] > 0
    assert answer["server_timing"]["prev_total_ms"] > 0
    peer.close()


def test_openpi_another_instruction_is_another_episode(openpi: Served) -> None:
    peer = OpenpiPeer(openpi)
    first = peer.infer(toy_observation(0, "push"))["actions"]
    pull = peer.infer(toy_observation(0, "pull"))["actions"]
    np.testing.assert_array_equal(
        pull, local_chunks([toy_observation(0)], episode("pull", "pull", 1), steps=4)[0]
    )
    again = peer.infer(toy_observation(0, "push"))["actions"]
    peer.close()
    assert not np.array_equal(first, pull)
    assert not np.array_equal(first, again)


def test_sessions_do_not_mix(openpi: Served) -> None:
    """Interleaved, three clients get what each gets alone."""
    alone = []
    for client in range(3):
        peer = OpenpiPeer(openpi)
        seen = [toy_observation(10 * client + step, f"push {client}") for step in range(5)]
        alone.append([peer.infer(item)["actions"] for item in seen])
        peer.close()
    peers = [OpenpiPeer(openpi) for _ in range(3)]
    for step in range(5):
        for client in (2, 0, 1):
            seen = toy_observation(10 * client + step, f"push {client}")
            np.testing.assert_array_equal(peers[client].infer(seen)["actions"], alone[client][step])
    for peer in peers:
        peer.close()


def test_a_slot_is_forgotten_with_its_session(openpi: Served) -> None:
    answers = []
    for _ in range(2):
        peer = OpenpiPeer(openpi)
        answers.append(peer.infer(toy_observation(0))["actions"])
        peer.close()
        time.sleep(0.1)
    np.testing.assert_array_equal(*answers)


def test_clients_at_the_same_time_get_what_they_get_alone(openpi: Served) -> None:
    """In threads, so that the server batches them."""
    results: dict[int, list[np.ndarray]] = {}

    def play(client: int) -> None:
        peer = OpenpiPeer(openpi)
        seen = [toy_observation(100 * client + step, f"task {client}") for step in range(10)]
        results[client] = [peer.infer(item)["actions"] for item in seen]
        peer.close()

    threads = [threading.Thread(target=play, args=(client,)) for client in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = dict(results)
    for client in range(4):
        play(client)
        np.testing.assert_array_equal(together[client], results[client])


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"images": {"top": np.zeros((8, 8, 3), np.uint8)}}, "must have shape [32, 32, 3]"),
        ({"images": {}}, "lacks 'images > top'"),
        ({"state": np.array([0, 0, 0, np.nan])}, "not finite"),
        ({"state": [0.0] * 4}, "array of numbers; got list"),
        ({"sfbench/episode": {"task": "x"}}, "must have the fields"),
    ],
)
def test_openpi_says_what_is_wrong_and_closes(openpi: Served, changed: dict, text: str) -> None:
    peer = OpenpiPeer(openpi)
    answer = peer.infer({**toy_observation(0), **changed})
    assert isinstance(answer, str)
    assert text in answer
    with pytest.raises(ConnectionClosed) as caught:
        peer.connection.recv(timeout=60)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1011


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("hello", "a text frame"),
        (b"\xc1", "no message"),
        (pack([1, 2], OPENPI), "a list, not a map"),
        (
            msgpack.packb(
                {b"__ndarray__": True, b"data": b"\0" * 8, b"dtype": "|O", b"shape": [1]}
            ),
            "dtype '|O'",
        ),
    ],
)
def test_openpi_refuses_what_is_no_observation(
    openpi: Served, data: bytes | str, text: str
) -> None:
    peer = OpenpiPeer(openpi)
    peer.connection.send(data)
    assert text in str(peer.connection.recv(timeout=60))
    peer.close()


def test_a_message_that_is_too_large_ends_its_session_only(openpi: Served) -> None:
    peer, other = OpenpiPeer(openpi), OpenpiPeer(openpi)
    with pytest.raises(ConnectionClosed) as caught:
        peer.infer({**toy_observation(0), "more": "x" * 1_100_000})
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009
    assert "actions" in other.infer(toy_observation(0))
    other.close()


# -- vla_eval


def test_vla_eval_gives_one_action_at_a_time(vla_eval: Served) -> None:
    """A chunk of three, of which two are used."""
    peer = VlaEvalPeer(vla_eval)
    peer.start(name="push it", episode_idx=7)
    seen = [toy_observation(seed) for seed in range(4)]
    actions = [peer.act(item) for item in seen]
    peer.close()
    asked = [seen[0], seen[2]]
    first, second = local_chunks(asked, episode("push it", "push", 7), steps=3)
    np.testing.assert_array_equal(actions, [first[0], first[1], second[0], second[1]])


def test_vla_eval_hello(vla_eval: Served) -> None:
    peer = VlaEvalPeer(vla_eval)
    assert peer.hello is not None
    assert peer.hello.type is MessageType.HELLO
    payload = peer.hello.payload
    assert payload["protocol_version"] == 1
    assert payload["action_spec"]["force"]["dims"] == 2
    assert payload["observation_spec"]["puck"]["format"] == "position/table/absolute"
    peer.close()


def test_vla_eval_an_episode_drops_what_was_predicted(vla_eval: Served) -> None:
    peer = VlaEvalPeer(vla_eval)
    for _ in range(2):
        peer.start(name="a", episode_idx=0)
        first = peer.act(toy_observation(0))
        peer.tell(MessageType.EPISODE_END, {"success": False})
    peer.start(name="a", episode_idx=0)
    np.testing.assert_array_equal(peer.act(toy_observation(0)), first)
    peer.close()


def test_vla_eval_a_changed_instruction_is_asked_anew(vla_eval: Served) -> None:
    """CALVIN does so within an episode: the predicted rest is for the old instruction."""
    peer = VlaEvalPeer(vla_eval)
    peer.start(name="a", episode_idx=0)
    peer.act(toy_observation(0))
    changed = peer.act(toy_observation(1, "pull"))
    expected = local_chunks([toy_observation(1)], episode("a", "pull", 0), steps=3)[0][0]
    np.testing.assert_array_equal(changed, expected)
    peer.close()


def test_vla_eval_an_error_leaves_the_session_open(vla_eval: Served) -> None:
    peer = VlaEvalPeer(vla_eval)
    with pytest.raises(RuntimeError, match="outside an episode"):
        peer.act(toy_observation(0))
    peer.start(name="a", episode_idx=0)
    with pytest.raises(RuntimeError, match="lacks 'state'"):
        peer.act({key: value for key, value in toy_observation(0).items() if key != "state"})
    assert peer.act(toy_observation(0)).shape == (2,)
    peer.close()


@pytest.mark.parametrize("version", [2, None, "1"])
def test_vla_eval_another_protocol_version(vla_eval: Served, version: object) -> None:
    peer = VlaEvalPeer(vla_eval, greet=False)
    reply = peer.ask(MessageType.HELLO, {**hello("test"), "protocol_version": version})
    assert reply.type is MessageType.ERROR
    assert f"protocol version {version!r} is not known" in reply.payload["error"]
    peer.close()


def test_vla_eval_wants_hello_first(vla_eval: Served) -> None:
    peer = VlaEvalPeer(vla_eval, greet=False)
    reply = peer.ask(MessageType.OBSERVATION, toy_observation(0))
    assert "must be a HELLO" in reply.payload["error"]
    peer.close()


@pytest.mark.parametrize("data", ["text", b"\xc1", msgpack.packb([1]), msgpack.packb({"type": 1})])
def test_vla_eval_garbage_is_answered_with_an_error(vla_eval: Served, data: bytes | str) -> None:
    peer = VlaEvalPeer(vla_eval)
    peer.connection.send(data)
    assert b"error" in peer.connection.recv(timeout=60)
    peer.start(name="a", episode_idx=0)
    assert peer.act(toy_observation(0)).shape == (2,)
    peer.close()


# -- a policy that breaks


@pytest.mark.parametrize(
    ("fault", "text"),
    [("nan", "holds nan at [1, 0]"), ("shape", "shape [4, 1]"), ("raise", "the policy broke")],
)
def test_a_policy_that_breaks_is_reported_and_served_on(fault: str, text: str) -> None:
    with serving(*FAULTY, f"policy.fault={fault}", "protocol=vla_eval") as served:
        peer = VlaEvalPeer(served)
        peer.start(name="a", episode_idx=0)
        with pytest.raises(RuntimeError) as caught:
            peer.act(toy_observation(0))
        assert text in str(caught.value)
        peer.start(name="a", episode_idx=1)
        assert peer.act(toy_observation(0)).shape == (2,)
        peer.close()
        assert served.end()[0] == 0


def test_the_guilty_session_alone_hears_of_it() -> None:
    """Two sessions in one batch; the policy raises for one of them."""
    options = ("policy.fault=raise", "protocol=vla_eval", "batch_wait_s=2", "max_batch=2")
    with serving(*FAULTY, *options) as served:
        peers = [VlaEvalPeer(served), VlaEvalPeer(served)]
        answers: dict[int, object] = {}

        def play(client: int) -> None:
            peers[client].start(name="a", episode_idx=client)
            try:
                answers[client] = peers[client].act(toy_observation(0))
            except RuntimeError as error:
                answers[client] = error

        threads = [threading.Thread(target=play, args=(client,)) for client in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert "the policy broke" in str(answers[0])
        assert np.shape(answers[1]) == (2,)


def test_a_policy_that_is_too_slow_is_an_error() -> None:
    options = ("policy.fault=slow", "policy_timeout_s=0.3", "protocol=openpi")
    with serving(*FAULTY, *options) as served:
        peer = OpenpiPeer(served)
        assert "took more than 0.3 s" in str(peer.infer(toy_observation(0)))


# -- who may connect


def test_health(openpi: Served, vla_eval: Served) -> None:
    for served in (openpi, vla_eval):
        for path in ("healthz", "health"):
            with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/{path}") as answer:
                assert (answer.status, answer.read()) == (200, b"OK\n")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{served.port}/other")
        assert caught.value.code >= 400


def test_no_browser(openpi: Served) -> None:
    with pytest.raises(InvalidStatus) as caught:
        OpenpiPeer(openpi, origin="http://evil.example")
    assert caught.value.response.status_code == 403


def test_a_token() -> None:
    options = ("protocol=openpi", "token_env=SECRET", "host=0.0.0.0")
    with serving(*TOY, *options, env={"SECRET": "open sesame"}) as served:
        local = Served(f"ws://127.0.0.1:{served.port}", served.port, served.process)
        for scheme in ("Api-Key", "Bearer"):
            header = {"Authorization": f"{scheme} open sesame"}
            peer = OpenpiPeer(local, additional_headers=header)
            assert "actions" in peer.infer(toy_observation(0))
            peer.close()
        basic = base64.b64encode(b"any:open sesame").decode()
        OpenpiPeer(local, additional_headers={"Authorization": f"Basic {basic}"}).close()
        for wrong in ({}, {"Authorization": "Api-Key close"}, {"Authorization": "Basic %"}):
            with pytest.raises(InvalidStatus) as caught:
                OpenpiPeer(local, additional_headers=wrong)
            assert caught.value.response.status_code == 401
        # Health needs no token, and tells nothing.
        with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/healthz") as answer:
            assert answer.status == 200
        code, err = served.end()
        assert code == 0
        assert "sesame" not in err


def test_too_many_sessions() -> None:
    with serving(*TOY, "protocol=openpi", "max_sessions=2") as served:
        peers = [OpenpiPeer(served) for _ in range(2)]
        with pytest.raises(InvalidStatus) as caught:
            OpenpiPeer(served)
        assert caught.value.response.status_code == 503
        peers[0].close()
        # The server hears of it a little later.
        end_s = time.monotonic() + 60
        while True:
            try:
                OpenpiPeer(served).close()
                break
            except InvalidStatus:
                assert time.monotonic() < end_s
                time.sleep(0.05)


# -- the port, and the end


def test_an_occupied_port(cli: Cli, openpi: Served) -> None:
    done = cli("serve", *TOY, "protocol=openpi", f"port={openpi.port}")
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{openpi.port}: Address already in use" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_clean_end(number: int, tmp_path: Path) -> None:
    """Also with a client that is connected, and one that waits for a slow answer."""
    mark = tmp_path / "called"
    slow = ("policy.fault=slow", f"policy.slow_mark={mark}")
    with serving(*FAULTY, *slow, "protocol=vla_eval") as served:
        idle, waiting = VlaEvalPeer(served), VlaEvalPeer(served)
        waiting.start(name="a", episode_idx=0)
        waiting.tell(MessageType.OBSERVATION, toy_observation(0))
        end_s = time.monotonic() + 60
        while not mark.exists():
            assert time.monotonic() < end_s
            time.sleep(0.02)
        code, err = served.end(number)
        assert (code, err) == (0, "")
        with pytest.raises(ConnectionClosed) as caught:
            idle.connection.recv(timeout=60)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001
        assert b"the server is stopping" in waiting.connection.recv(timeout=60)
        # The port is free for the next server at once.
        with socket.create_server(("127.0.0.1", served.port)):
            pass


@pytest.fixture
def own_handlers() -> Iterator[None]:
    """Puts back what this process does at a signal."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("own_handlers")
def test_a_second_signal_ends_it_at_once(number: int) -> None:
    """The first asks; nothing of ours stands in the way of the next."""

    async def first() -> None:
        stop = stop_event()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), timeout=60)

    asyncio.run(first())
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_port_is_taken_before_the_policy_is_loaded() -> None:
    """A second server must fail at once, not after minutes of loading."""
    with socket.create_server(("127.0.0.1", 0)) as mine:
        port = mine.getsockname()[1]
        options = ("protocol=openpi", f"port={port}", "policy.checkpoint=nowhere")
        process = start_cli("serve", "policy=openvla_oft_7b", "suite=toy", *options)
        _, err = process.communicate(timeout=240)
    assert process.returncode == 2
    assert "Address already in use" in err
