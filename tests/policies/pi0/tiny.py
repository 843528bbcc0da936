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
LANGUAGE = {"width": 32, "depth": 3, "mlp_dim": 48, "num_heads": 8, "num_kv_heads": 1, "head_dim": 6}
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
        centre = 1.0 if "layer_norm" in key or "layernorm.weight" in key and "post_lay" in key else 0
        return (centre * key.endswith("weight") + 0.2 * draws).astype(np.float32)
    if "embed_tokens" in key or "lm_head" in key or "position" in key:
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
