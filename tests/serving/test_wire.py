"""Mappings: what goes out comes back, and what does not fit is refused before anything is sent."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfbench.contracts import CameraSpec, EnvSpec, Observation, Orientation
from sfbench.errors import SfbenchError
from sfbench.registry import SuiteRecipe, suites
from sfbench.serving.arrays import OPENPI, MessageError, pack, unpack
from sfbench.serving.binding import Protocol, bind
from sfbench.serving.images import resize_with_pad, turn
from sfbench.serving.mapping_file import known_mappings, read_mapping
from sfbench.serving.wire import Wire

UP, BOTTOM_UP, MIRRORED = Orientation.UPRIGHT, Orientation.BOTTOM_UP, Orientation.MIRRORED

FITS = [
    ("toy", {}, "native", "openpi"),
    ("toy", {}, "native", "vla_eval"),
    ("robotwin_clean", {}, "native", "openpi"),
    ("robotwin_clean", {}, "robotwin_openpi", "openpi"),
    ("robotwin_clean", {}, "robotwin_vla_eval", "vla_eval"),
    ("libero_spatial", {"preset": "openpi"}, "libero_openpi", "openpi"),
    ("libero_spatial", {"preset": "openvla_oft"}, "libero_oft", "vla_eval"),
    ("libero_spatial", {"preset": "vla_eval"}, "libero_vla_eval", "vla_eval"),
    ("libero_spatial", {"preset": "vla_eval"}, "native", "vla_eval"),
]


def env_of(suite: str, settings: dict[str, Any]) -> EnvSpec:
    return SuiteRecipe(suite, suites()[suite].config_class()(**settings)).build().env_spec


def toy_env() -> EnvSpec:
    return env_of("toy", {})


def observation_of(env: EnvSpec) -> Observation:
    stream = np.random.default_rng(0)
    images = {
        camera.name: stream.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
        for camera in env.cameras
    }
    return Observation(images=images, state=stream.normal(size=env.state.size))


def test_every_shipped_mapping_is_tried() -> None:
    assert {mapping for _, _, mapping, _ in FITS} == {"native", *known_mappings()}
    assert all(read_mapping(name).source for name in known_mappings())


@pytest.mark.parametrize(("suite", "settings", "mapping", "protocol"), FITS)
def test_what_is_sent_comes_back(
    suite: str, settings: dict[str, Any], mapping: str, protocol: str
) -> None:
    env = env_of(suite, settings)
    wire = bind(mapping, Protocol(protocol), env)
    sent = observation_of(env)
    message = unpack(pack(wire.encode(sent, "lift it"), OPENPI), OPENPI, 10_000_000)
    cameras = {image.suite.name for image in wire.images}
    seen = wire.decode(message, cameras, reads_state=True)
    assert seen.instruction == "lift it"
    np.testing.assert_array_equal(seen.observation.state, sent.state)
    assert set(seen.observation.images) == cameras
    for image in wire.images:
        name, size = image.suite.name, (image.wire.height, image.wire.width)
        expected = sent.images[name]
        if size != expected.shape[:2]:
            # Padding is symmetric, so that turning and resizing may change places.
            assert image.suite.orientation is image.wire.orientation
            expected = resize_with_pad(expected, *size)
        np.testing.assert_array_equal(seen.observation.images[name], expected)


def test_images_lie_as_the_mapping_says() -> None:
    """A suite that renders bottom-up sends what openpi's own client would: turned by 180."""
    env = env_of("libero_spatial", {"preset": "libero_original", "render_px": 224})
    assert env.cameras[0].orientation is BOTTOM_UP
    wire = bind("libero_openpi", Protocol.OPENPI, env)
    sent = observation_of(env)
    message = wire.encode(sent, "go")
    np.testing.assert_array_equal(
        message["observation/image"], sent.images["agentview"][::-1, ::-1]
    )
    assert list(message) == [
        "observation/image",
        "observation/wrist_image",
        "observation/state",
        "prompt",
    ]


def test_channels_first() -> None:
    env = env_of("robotwin_clean", {})
    wire = bind("robotwin_openpi", Protocol.OPENPI, env)
    sent = observation_of(env)
    high = wire.encode(sent, "go")["images"]["cam_high"]
    np.testing.assert_array_equal(high, sent.images["head_camera"].transpose(2, 0, 1))
    assert high.flags.c_contiguous


@pytest.mark.parametrize("have", Orientation)
@pytest.mark.parametrize("want", Orientation)
def test_turning_back(have: Orientation, want: Orientation) -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    turned = turn(image, have, want)
    np.testing.assert_array_equal(turn(turned, want, have), image)
    assert (have is want) == np.array_equal(turned, image)


def test_resizing_pads_evenly() -> None:
    white = np.full((60, 120, 3), 255, np.uint8)
    out = resize_with_pad(white, 40, 40)
    assert out.shape == (40, 40, 3)
    assert (out[10:30] == 255).all()
    assert (out[:10] == 0).all()
    assert (out[30:] == 0).all()
    assert resize_with_pad(white, 60, 120) is white


def toy_message() -> tuple[Wire, dict[str, Any]]:
    env = toy_env()
    wire = bind("native", Protocol.OPENPI, env)
    return wire, wire.encode(observation_of(env), "push")


MISREAD: dict[str, tuple[dict[str, Any], str]] = {
    "no image": ({"images": {}}, "lacks 'images > top'; got in 'images' nothing"),
    "images that are no map": ({"images": 5}, "lacks 'images > top'"),
    "image of floats": ({"images": {"top": np.zeros((32, 32, 3))}}, "array of uint8; got float64"),
    "image that is a list": ({"images": {"top": [1, 2]}}, "array of uint8; got list"),
    "image of another size": (
        {"images": {"top": np.zeros((32, 31, 3), np.uint8)}},
        "must have shape [32, 32, 3]; got [32, 31, 3]",
    ),
    "short state": ({"state": np.zeros(3)}, "shape [4]: puck (2), mark (2); got [3]"),
    "state that is a list": ({"state": [0.0] * 4}, "array of numbers; got list"),
    "state of truth values": ({"state": np.zeros(4, bool)}, "array of numbers; got bool"),
    "state with nan": ({"state": np.array([0, 1, np.nan, 0])}, "not finite"),
    "instruction that is no text": ({"prompt": 3}, "'prompt' is no text"),
}


@pytest.mark.parametrize("name", MISREAD)
def test_a_misread_observation(name: str) -> None:
    changed, text = MISREAD[name]
    wire, message = toy_message()
    with pytest.raises(MessageError) as caught:
        wire.decode({**message, **changed}, {"top"}, reads_state=True)
    assert text in str(caught.value)


@pytest.mark.parametrize("key", ["images", "state", "prompt"])
def test_a_missing_key_names_what_came(key: str) -> None:
    wire, message = toy_message()
    del message[key]
    with pytest.raises(MessageError, match=f"lacks '{key}.*got") as caught:
        wire.decode(message, {"top"}, reads_state=True)
    assert all(other in str(caught.value) for other in message)


def test_what_a_policy_does_not_read_may_be_missing() -> None:
    wire, message = toy_message()
    seen = wire.decode({"prompt": message["prompt"]}, set(), reads_state=False)
    assert seen.observation.images == {}
    assert np.isnan(seen.observation.state).all()


GOOD_FILE = """
source: nowhere
protocols: [openpi]
instruction: [prompt]
cameras:
  - {camera: top, key: [top], orientation: upright}
state:
  key: [state]
  parts:
    - {quantity: position, frame: table}
    - {quantity: position, frame: table}
action:
  parts:
    - {quantity: position, frame: table, reference: delta}
"""

MISTAKES: dict[str, tuple[str, str, str]] = {
    "misspelt key": ("instruction:", "instructions:", "instructions"),
    "lacks a key": ("source: nowhere\n", "", "source"),
    "unknown camera": ("camera: top", "camera: side", "the suite lacks it; it has top, wide"),
    "unknown orientation": ("upright", "upside_down", "Valid: upright, bottom_up, mirrored"),
    "unknown frame": ("frame: table, ref", "frame: tabel, ref", "Did you mean 'table'?"),
    "unknown protocol": ("[openpi]", "[openpie]", "Did you mean 'openpi'?"),
    "the other protocol": ("[openpi]", "[vla_eval]", "is for protocol vla_eval, not openpi"),
    "another frame": (
        "frame: table, ref",
        "frame: world, ref",
        "action.force frame: suite has table, mapping wants world",
    ),
    "absolute actions": ("delta", "absolute", "reference: suite has delta, mapping wants absolute"),
    "more actions": (
        "reference: delta}",
        "reference: delta, size: 3}",
        "action.force size: suite has 2, mapping wants 3",
    ),
    "more parts": (
        "reference: delta}",
        "reference: delta}\n    - {quantity: joint_position}",
        "action parts: suite has ['force'], mapping wants ['position', 'joint_position']",
    ),
    "another rate": ("action:\n", "action:\n  hz: 10\n", "suite has 20, mapping wants 10"),
    "another size": ("upright}", "upright, height: 64}", "renders 32 x 32"),
    "no YAML": (GOOD_FILE, "a: [", "cannot be used"),
    "no map": (GOOD_FILE, "[1, 2]", "cannot be used"),
    "an empty key": ("key: [top]", "key: []", "empty key"),
    "no numbers": ("table}\n    - {qu", "table, size: -1}\n    - {qu", "non-zero size"),
    "nonsense": ("cameras:", "cameras: 5\nrest:", "cannot be used"),
    "a rotation without its form": (
        "quantity: position, frame: table, reference",
        "quantity: rotation, frame: table, reference",
        "names its form",
    ),
}


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD_FILE)
    wire = bind(str(path), Protocol.OPENPI, toy_env())
    assert set(wire.encode(observation_of(toy_env()), "go")) == {"top", "state", "prompt"}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_file(tmp_path: Path, name: str) -> None:
    old, new, text = MISTAKES[name]
    assert old in GOOD_FILE
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD_FILE.replace(old, new))
    with pytest.raises(SfbenchError) as caught:
        bind(str(path), Protocol.OPENPI, toy_env())
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "policy.mapping= is missing"),
        ("libero_openpie", "Did you mean 'libero_openpi'?"),
        ("nowhere.yaml", "there is no such file"),
        ("libero_openpi", "sends camera 'agentview'; the suite lacks it"),
    ],
)
def test_a_wrong_name(name: str, text: str) -> None:
    with pytest.raises(SfbenchError) as caught:
        bind(name, Protocol.OPENPI, toy_env())
    assert text in str(caught.value)


def test_a_rotation_sign_that_differs_is_refused() -> None:
    """The pitfall that cost OpenVLA-OFT 14 to 40 points."""
    env = env_of("libero_spatial", {"preset": "vla_eval"})
    with pytest.raises(SfbenchError, match="suite has canonical, mapping wants as_simulated"):
        bind("libero_oft", Protocol.VLA_EVAL, env)


def test_another_render_size_is_refused() -> None:
    camera = CameraSpec(name="agentview", height=128, width=128)
    env = env_of("libero_spatial", {"preset": "openvla_oft"})
    with pytest.raises(SfbenchError, match="as 256 x 256, and the suite renders 128 x 128"):
        bind("libero_oft", Protocol.VLA_EVAL, replace(env, cameras=(camera, *env.cameras[1:])))
