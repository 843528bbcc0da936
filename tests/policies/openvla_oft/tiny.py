"""The tiny network that reference and project are compared on; numpy only, for both sides."""

import zlib

import numpy as np

IMAGE_PX = 28
PATCH_PX = 14
DINO = {"embed_dim": 32, "depth": 4, "num_heads": 2, "mlp_ratio": 4}
SIGLIP = {"embed_dim": 48, "depth": 3, "num_heads": 3, "mlp_ratio": 3.7362}
TEXT = {
    "vocab_size": 32064,
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
PROMPTS = (
    (1, 512, 29901, 1724, 3158, 881, 29871),
    (1, 512, 29901, 1724, 3158, 881, 278, 19964, 2125, 304, 13, 3744, 29901, 29871),
)
KEPT_COLUMNS = np.r_[0:32, 31700:32064]
"""Columns of the logits that are stored."""


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of a parameter, from its published name alone (a frozen numpy stream).

    Everything is drawn, norms and LayerScale included, so that no two parts of the network could
    be swapped or left out unnoticed.
    """
    draws = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith(("scale_factor", "norm.weight")) or ("norm" in key and key.endswith("weight")):
        return (1 + 0.2 * draws).astype(np.float32)
    if len(shape) < 2:
        return (0.2 * draws).astype(np.float32)
    if "embed" in key or key.endswith(("token", "latent")):
        return (0.5 * draws).astype(np.float32)
    return (draws / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def inputs(views: int) -> dict[str, np.ndarray]:
    """Pixels [2, 6 * views, H, W] (towers within views), states [2, 8], actions [2, 8, 7]."""
    random = np.random.RandomState(7)
    return {
        "pixels": random.standard_normal((2, 6 * views, IMAGE_PX, IMAGE_PX)).astype(np.float32),
        "state": random.uniform(-1, 1, (2, 8)).astype(np.float32),
        "actions": random.uniform(-1, 1, (2, 8, 7)).astype(np.float32),
    }


STATISTICS = {
    "tiny_no_noops": {
        "action": {
            "q01": [-0.74, -0.66, -0.93, -0.10, -0.20, -0.18, 0.0],
            "q99": [0.93, 0.85, 0.93, 0.13, 0.18, 0.33, 1.0],
            "min": [-0.93, -0.83, -0.93, -0.12, -0.30, -0.33, 0.0],
            "max": [0.94, 0.88, 0.94, 0.14, 0.25, 0.37, 1.0],
            "mask": [True, True, True, True, True, True, False],
        },
        "proprio": {
            "q01": [-0.33, -0.30, 0.67, 0.92, -3.48, -1.83, 0.005, -0.04],
            "q99": [0.11, 0.26, 1.20, 3.32, 0.49, 0.74, 0.040, -0.005],
            "min": [-0.40, -0.33, 0.44, 0.35, -3.64, -1.86, -0.001, -0.042],
            "max": [0.13, 0.33, 1.36, 3.47, 1.03, 2.05, 0.041, 0.001],
        },
    }
}
"""Invented, in the size and shape of a LIBERO checkpoint's."""

PREPROCESSOR = {
    "image_resize_strategy": "resize-naive",
    "means": [[0.485, 0.456, 0.406], [0.5, 0.5, 0.5]],
    "stds": [[0.229, 0.224, 0.225], [0.5, 0.5, 0.5]],
    "tvf_normalize_params": [
        {
            "inplace": False,
            "mean": [0.484375, 0.455078125, 0.40625],
            "std": [0.228515625, 0.2236328125, 0.224609375],
        },
        {"inplace": False, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    ],
}
"""What the published preprocessor_config.json says of normalisation: twice, with a difference."""


def _random_walk(random: np.random.RandomState, height: int, width: int) -> np.ndarray:
    """An image with soft gradients, edges and a little noise; integers only, so it never varies."""
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack(
        [
            (3 * rows + columns) // 2 % 256,
            255 - (rows + 2 * columns) % 256,
            (rows * columns // 64) % 256,
        ],
        axis=-1,
    )
    for _ in range(6):
        top, left = random.randint(0, height), random.randint(0, width)
        image[top : top + height // 4, left : left + width // 5] = random.randint(0, 256, 3)
    return np.clip(image + random.randint(-4, 5, image.shape), 0, 255).astype(np.uint8)


def images() -> dict[str, np.ndarray]:
    """Images that show mistakes: noise, a scene, and odd sizes."""
    random = np.random.RandomState(11)
    return {
        "noise": random.randint(0, 256, (96, 96, 3)).astype(np.uint8),
        "scene": _random_walk(random, 128, 128),
        "extremes": (255 * random.randint(0, 2, (32, 48, 3))).astype(np.uint8),
        "odd": _random_walk(random, 51, 70),
    }


def observation() -> dict[str, np.ndarray]:
    """What robosuite gives in LIBERO: two images, bottom row first, and the gripper's pose.

    The quaternion (x, y, z, w) has w < 0, as the simulator gives it in LIBERO: its axis-angle form
    is longer than pi.
    """
    random = np.random.RandomState(13)
    return {
        "agentview": _random_walk(random, 256, 256),
        "robot0_eye_in_hand": _random_walk(random, 256, 256),
        "eef_pos": np.array([-0.2, 0.013, 1.17]),
        "eef_quat": np.array([0.6, -0.7, 0.2, -0.33166247903554]),
        "gripper_qpos": np.array([0.0391, -0.0388]),
    }


def unnormalised_actions() -> np.ndarray:
    """A chunk [8, 7] whose gripper numbers (1 is open) reach both sides, and 0.5 itself."""
    random = np.random.RandomState(17)
    actions = random.uniform(-1, 1, (8, 7))
    actions[:, -1] = [0.0, 1.0, 0.5, 0.49, 0.51, -0.2, 1.3, 0.9961]
    return actions
