"""Write what the reference's pre- and post-processing computes, for the tests to compare with.

Run in an environment of its own with tensorflow-cpu 2.15 and pillow:

    python make_image_fixtures.py --oft CHECKOUT [--out fixtures]

after make_fixtures.py, with a checkout of moojink/openvla-oft (213c5ff). Its helpers import torch,
transformers and more at the top and use none of them here; those imports are answered by empty
stand-ins.
"""

import argparse
import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import tensorflow as tf
import tiny

ABSENT = (
    "json_numpy",
    "requests",
    "torch",
    "huggingface_hub",
    "transformers",
    "libero",
    "libero.libero",
    "libero.libero.envs",
    "imageio",
    "prismatic",
    "prismatic.extern",
    "prismatic.extern.hf",
    "prismatic.extern.hf.configuration_prismatic",
    "prismatic.extern.hf.modeling_prismatic",
    "prismatic.extern.hf.processing_prismatic",
    "prismatic.models",
    "prismatic.models.action_heads",
    "prismatic.models.film_vit_wrapper",
    "prismatic.models.projectors",
    "prismatic.vla.datasets",
    "prismatic.vla.datasets.rlds",
    "prismatic.vla.datasets.rlds.utils",
    "prismatic.vla.datasets.rlds.utils.data_utils",
)


def load_reference(checkout: Path) -> SimpleNamespace:
    """The reference's helper modules, with stand-ins for what they import but do not use."""
    sys.modules |= {name: MagicMock() for name in ABSENT}
    sys.path.insert(0, str(checkout))
    vla = ModuleType("prismatic.vla")
    vla.__path__ = [str(checkout / "prismatic/vla")]
    sys.modules["prismatic.vla"] = vla
    constants = importlib.import_module("prismatic.vla.constants")
    sys.modules[
        "prismatic.vla.datasets.rlds.utils.data_utils"
    ].NormalizationType = constants.NormalizationType
    return SimpleNamespace(
        images=importlib.import_module("experiments.robot.openvla_utils"),
        actions=importlib.import_module("experiments.robot.robot_utils"),
        libero=importlib.import_module("experiments.robot.libero.libero_utils"),
    )


def single_steps(reference: SimpleNamespace) -> dict[str, np.ndarray]:
    """Each transform alone, on images that are hard for it."""
    kept: dict[str, np.ndarray] = {}
    for name, image in tiny.images().items():
        coded = tf.io.decode_image(tf.image.encode_jpeg(image), expand_animations=False)
        kept[f"jpeg_{name}"] = coded.numpy()
        resized = tf.image.resize(image, (64, 64), method="lanczos3", antialias=True)
        kept[f"lanczos_{name}"] = tf.cast(
            tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8
        ).numpy()
    return kept


def whole_observation(reference: SimpleNamespace) -> dict[str, np.ndarray]:
    """An observation of LIBERO, from the simulator's images and pose to the model's."""
    raw = tiny.observation()
    found = {
        "agentview_image": raw["agentview"],
        "robot0_eye_in_hand_image": raw["robot0_eye_in_hand"],
    }
    views = [
        reference.libero.get_libero_image(found),
        reference.libero.get_libero_wrist_image(found),
    ]
    resized = [reference.images.resize_image_for_policy(view, 224) for view in views]
    config = SimpleNamespace(center_crop=True)
    prepared = reference.images.prepare_images_for_vla(resized, config)
    rotation = reference.libero.quat2axisangle(raw["eef_quat"].copy())
    state = np.concatenate([raw["eef_pos"], rotation, raw["gripper_qpos"]])
    statistics = tiny.STATISTICS["tiny_no_noops"]["proprio"]
    return {
        "resized": np.asarray(resized[0]),
        "views": np.stack([np.asarray(image) for image in prepared]),
        "state": state,
        "normalised_state": reference.images.normalize_proprio(state, statistics),
    }


def commands(reference: SimpleNamespace, chunk: np.ndarray) -> dict[str, np.ndarray]:
    """Un-normalised chunks to commands: one that tries the gripper, and the tiny network's."""
    kept = {}
    for name, actions in (("commands", tiny.unnormalised_actions()), ("chunk_commands", chunk)):
        normalised = reference.actions.normalize_gripper_action(actions, binarize=True)
        kept[name] = reference.actions.invert_gripper_action(normalised)
    return kept


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--oft", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures")
    chosen = parser.parse_args()
    reference = load_reference(chosen.oft)
    with np.load(chosen.out / "reference_oft_tiny.npz") as tiny_network:
        chunk = tiny_network["chunk_0"]
    kept = single_steps(reference) | whole_observation(reference) | commands(reference, chunk)
    np.savez_compressed(chosen.out / "reference_processing.npz", **kept)
    print(f"written with tensorflow {tf.__version__}")


if __name__ == "__main__":
    main()
