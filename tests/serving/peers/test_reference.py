"""Our messages, images and declared conventions against what the peers' own code says."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfbench.contracts import EnvSpec, Observation
from sfbench.registry import SuiteRecipe, suites
from sfbench.serving.arrays import OPENPI, VLA_EVAL, unpack
from sfbench.serving.binding import Protocol, bind
from sfbench.serving.images import resize_with_pad
from sfbench.serving.vla_eval import declared, spec_problems
from tests.serving.peers.conftest import SCRIPTS

LIMIT = 10_000_000


@pytest.fixture(scope="module")
def said(peers_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Arrays and texts of scripts/reference.py."""
    out = tmp_path_factory.mktemp("reference") / "out.npz"
    done = subprocess.run(
        [str(peers_python), str(SCRIPTS / "reference.py"), str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return np.load(out), json.loads(done.stdout)


def env_of(suite: str, **settings: Any) -> EnvSpec:
    return SuiteRecipe(suite, suites()[suite].config_class()(**settings)).build().env_spec


def test_resizing_agrees_bit_for_bit(said: Any) -> None:
    arrays, _ = said
    sizes = [name.removeprefix("image ") for name in arrays.files if name.startswith("image ")]
    assert len(sizes) == 6
    for size in sizes:
        mine = resize_with_pad(arrays[f"image {size}"], 224, 224)
        np.testing.assert_array_equal(mine, arrays[f"resized {size}"], err_msg=size)


def test_openpi_messages_are_read(said: Any) -> None:
    arrays, _ = said
    message = unpack(arrays["openpi message"].tobytes(), OPENPI, LIMIT)
    np.testing.assert_array_equal(message["observation/image"], arrays["image 97 61"])
    np.testing.assert_array_equal(message["observation/state"], np.arange(8.0))
    assert message["prompt"] == "lift it"
    assert (message["number"], message["number"].dtype) == (0.25, np.float32)
    np.testing.assert_array_equal(message["deep"][0]["flags"], [True, False])


def test_vla_eval_messages_are_read(said: Any) -> None:
    """Images arrive as PNG, its default."""
    arrays, _ = said
    raw = arrays["vla_eval message"].tobytes()
    assert raw.count(b"\x89PNG") == 2
    content = unpack(raw, VLA_EVAL, LIMIT)
    assert (content["type"], content["seq"]) == ("observation", 5)
    sent = content["payload"]["images"]
    np.testing.assert_array_equal(sent["agentview"], arrays["sent agentview"])
    np.testing.assert_array_equal(sent["wrist"], arrays["sent wrist"])


@pytest.mark.parametrize("preset", ["libero_original", "openvla_oft"])
def test_libero_observations_look_as_its_benchmark_makes_them(said: Any, preset: str) -> None:
    """From images as robosuite renders them, whichever way the suite hands them over."""
    arrays, texts = said
    env = env_of("libero_spatial", preset=preset, render_px=256)
    wire = bind("libero_oft", Protocol.VLA_EVAL, env)
    images = {
        "agentview": arrays["raw agentview"],
        "robot0_eye_in_hand": arrays["raw wrist"],
    }
    if preset == "openvla_oft":  # This one turns them itself.
        images = {name: image[::-1, ::-1] for name, image in images.items()}
    message = wire.encode(Observation(images=images, state=arrays["sent states"]), "lift it")
    np.testing.assert_array_equal(message["images"]["agentview"], arrays["sent agentview"])
    np.testing.assert_array_equal(message["images"]["wrist"], arrays["sent wrist"])
    np.testing.assert_array_equal(message["states"], arrays["sent states"])
    # Its servers take the first image for the main one.
    assert list(message["images"]) == texts["libero"][3]
    assert set(message) == set(texts["libero"][2]) - {"controller_states"}


@pytest.mark.parametrize(
    ("mapping", "suite", "section"),
    [
        ("libero_oft", "libero_spatial", "libero"),
        ("robotwin_vla_eval", "robotwin_clean", "robotwin"),
    ],
)
def test_declared_specs_are_those_of_its_benchmark(
    said: Any, mapping: str, suite: str, section: str
) -> None:
    """Same components, same formats; so its orchestrator finds nothing to warn about."""
    _, texts = said
    action, observation = texts[section][:2]
    wire = bind(mapping, Protocol.VLA_EVAL, env_of(suite))
    mine = declared(wire.handshake)
    for ours, theirs in ((mine["action_spec"], action), (mine["observation_spec"], observation)):
        assert set(ours) == set(theirs)
        for name, spec in theirs.items():
            assert ours[name]["format"] == spec["format"]
            if section == "libero":
                assert ours[name]["dims"] == spec["dims"]


def test_its_own_servers_go_with_their_mappings(said: Any) -> None:
    """The greetings of its OpenVLA-OFT and pi0 servers, and the mapping that each needs."""
    _, texts = said
    oft = bind("libero_oft", Protocol.VLA_EVAL, env_of("libero_spatial", preset="openvla_oft"))
    pi0 = bind("libero_vla_eval", Protocol.VLA_EVAL, env_of("libero_spatial", preset="vla_eval"))
    for wire, greeting in ((oft, texts["oft"]), (pi0, texts["pi0"])):
        handshake = wire.handshake
        assert not spec_problems(
            "action", greeting["action_spec"], handshake.action_spec, required=True
        )
        assert not spec_problems(
            "observation", greeting["observation_spec"], handshake.observation_spec, required=False
        )
        asked = greeting["observation_params"]
        wants = handshake.params["quat_no_antipodal"]
        assert bool(asked.get("quat_no_antipodal")) is wants
        sent = wire.asked([name for name, value in asked.items() if value])
        assert [image.key for image in sent.images] == [
            ("images", "agentview"),
            ("images", "wrist"),
        ]
        assert sent.state is not None
    assert texts["oft"]["observation_params"]["env_seed"] == 0
