"""Where all randomness of an episode comes from.

A seed is the first 63 bits of the SHA-256 of what identifies it, so it does not depend on workers,
order or library versions.
"""

import hashlib

from sfbench.contracts import EpisodeKey

SEED_RULE = "sha256-63:v1"
"""Named in the protocol card; a change of the derivation below is a new version."""


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2**63) from a sequence of names and numbers."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def scene_seed(key: EpisodeKey) -> int:
    """Seed of what the environment draws.

    The same for all repeats, so that they differ only in the policy's own noise.
    """
    return derive_seed("scene", key.suite, key.task, key.init_state, key.seed)


def policy_seed(key: EpisodeKey) -> int:
    """Seed of the policy's random stream; differs between repeats."""
    return derive_seed("policy", *key)


def instruction_seed(key: EpisodeKey) -> int:
    """Seed of the choice of wording."""
    return derive_seed("instruction", key.suite, key.task, key.init_state, key.seed)
