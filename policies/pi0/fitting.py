"""Which named architectures an own folder's network is of."""

from dataclasses import replace
from pathlib import Path

from ..common.own_folder import refuse_other_size, refuse_overruled
from .architecture import Architecture
from .bundle import read_architecture
from .config import Pi0Config, SmallConfig
from .presets import PI0, PI0_MICRO, PI0_MINI

_POLICIES = {"pi0": PI0, "pi0_mini": PI0_MINI, "pi0_micro": PI0_MICRO}
_BROUGHT = ("tokenizer", "conventions", "cameras", "resize", "relative_parts")


def check_own_folder(folder: Path, preset: Architecture, config: Pi0Config | SmallConfig) -> None:
    """Refuse a folder under another policy's name, and settings that it brings itself.

    Raises:
        MissingError, UsageError: see `load_bundle`; or refused.
    """
    refuse_overruled(config, _BROUGHT, folder)
    known = {name: _fixed(one) for name, one in _POLICIES.items()}
    refuse_other_size(_fixed(read_architecture(folder)), _fixed(preset), known, folder)


def _fixed(architecture: Architecture) -> Architecture:
    """What a preset fixes: towers and decoders; published checkpoints vary the rest."""
    return replace(
        architecture,
        chunk_steps=1,
        state_width=1,
        action_width=1,
        prompt_tokens=1,
        denoise_steps=1,
        min_period=1.0,
        max_period=1.0,
    )
