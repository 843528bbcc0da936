"""The tiny network that references and project are compared on; numpy only, for both sides."""

import zlib

import numpy as np

IMAGE_PX = 28
VISION = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "patch_size": 14,
    "image_size": IMAGE_PX,
}
VOCAB = 96
# The references fix eight heads.
LANGUAGE = {
    "width": 32,
    "depth": 3,
    "mlp_dim": 48,
    "num_heads": 8,
    "num_kv_heads": 1,
    "head_dim": 6,
}
EXPERT = LANGUAGE | {"width": 16, "mlp_dim": 40}
CHUNK_STEPS = 5
VECTOR = 32
"""State and action numbers after padding."""

PROMPTS = ((2, 17, 40, 9, 63, 30, 11), (2, 55, 41, 11))
VIEWS_PRESENT = ((True, True, False), (True, True, True))
TIMES = (0.37, 0.992)
"""Flow times of the training pass, one for each sample."""


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of a parameter, from its published name alone (a frozen numpy stream).

    Everything is drawn, norms and biases included, so that no two parts of the network could be
    swapped or left out unnoticed.
    """
    draws = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if len(shape) < 2:
        # Gemma's norms add 1 to their weight themselves, SigLIP's do not.
        siglip_norm = "layer_norm" in key or ".post_layernorm." in key
        return (float(siglip_norm and key.endswith("weight")) + 0.2 * draws).astype(np.float32)
    if "embed_tokens" in key or "position" in key:
        return (0.3 * draws).astype(np.float32)
    return (draws / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def inputs() -> dict[str, np.ndarray]:
    """Pixels [2, 3, 3, H, W] in [-1, 1], states [2, 32], actions and noise [2, K, 32]."""
    random = np.random.RandomState(7)
    shape = (2, CHUNK_STEPS, VECTOR)
    return {
        "pixels": random.uniform(-1, 1, (2, 3, 3, IMAGE_PX, IMAGE_PX)).astype(np.float32),
        "state": random.standard_normal((2, VECTOR)).astype(np.float32),
        "actions": random.standard_normal(shape).astype(np.float32),
        "noise": random.standard_normal(shape).astype(np.float32),
    }


def scene(height: int, width: int, seed: int) -> np.ndarray:
    """An image [height, width, 3] with gradients, edges and noise that shows filter mistakes."""
    random = np.random.RandomState(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([3 * rows + columns, 255 - rows - 2 * columns, rows * columns // 32], axis=-1)
    image %= 256
    for _ in range(6):
        top, left = random.randint(0, height), random.randint(0, width)
        image[top : top + height // 4, left : left + width // 5] = random.randint(0, 256, 3)
    return np.clip(image + random.randint(-9, 10, image.shape), 0, 255).astype(np.uint8)


RESIZED = {
    "smaller": (96, 96, 56),
    "larger": (40, 40, 56),
    "wide": (60, 91, 56),
    "tall": (85, 50, 56),
    "half_pixel": (48, 63, 40),
}
"""Height and width of an image, and the side of the square that it goes into."""

LIBERO_PX = 64
"""Cameras of the LIBERO example, in which a model reads 48 px."""
MODEL_PX = 48


def libero_observation() -> dict[str, np.ndarray]:
    """What robosuite gives: two images, bottom row first, and the state that openpi makes of it.

    The rotation is longer than pi, as LIBERO's often is.
    """
    return {
        "agentview": scene(LIBERO_PX, LIBERO_PX, 3),
        "robot0_eye_in_hand": scene(LIBERO_PX, LIBERO_PX, 4),
        "state": np.array([-0.2, 0.013, 1.17, 3.05, -0.9, 0.41, 0.0391, -0.0388]),
    }


STATISTICS = {
    "observation.state": {
        "mean": [-0.05, 0.03, 0.76, 2.97, -0.22, -0.13, 0.027, -0.027],
        "std": [0.10, 0.15, 0.38, 0.34, 0.91, 0.33, 0.014, 0.014],
    },
    "action": {
        "mean": [0.06, 0.09, -0.09, 0.0006, 0.006, -0.005, -0.05],
        "std": [0.34, 0.38, 0.44, 0.04, 0.06, 0.08, 0.99],
    },
}
"""Invented, in the size and shape of a LIBERO data set's."""

QUANTILES = {
    "q01": [-0.74, -0.66, -0.93, -0.10, -0.20, -0.18, -1.0],
    "q99": [0.93, 0.85, 0.93, 0.13, 0.18, 0.33, 1.0],
}


def network_output() -> np.ndarray:
    """A chunk [K, 32] as it leaves the network."""
    return np.random.RandomState(17).standard_normal((CHUNK_STEPS, VECTOR)).astype(np.float32)
