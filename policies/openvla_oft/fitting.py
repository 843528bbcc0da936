"""Which named architectures an own folder's network is of."""

from dataclasses import replace
from pathlib import Path

from ..common.own_folder import refuse_other_size, refuse_overruled
from .architecture import ActionPositions, Architecture
from .bundle import read_architecture
from .config import OpenVla7bConfig, SmallConfig
from .presets import OPENVLA_7B, OPENVLA_OFT_7B, OPENVLA_OFT_MICRO, OPENVLA_OFT_MINI

_POLICIES = {
    "openvla_7b": OPENVLA_7B,
    "openvla_oft_7b": OPENVLA_OFT_7B,
    "openvla_oft_7b_sf": OPENVLA_OFT_7B,
    "openvla_oft_mini": OPENVLA_OFT_MINI,
    "openvla_oft_micro": OPENVLA_OFT_MICRO,
}
_BROUGHT = ("base_checkpoint", "statistics_key", "cameras", "image_steps")


def check_own_folder(
    folder: Path, preset: Architecture, config: OpenVla7bConfig | SmallConfig
) -> None:
    """Refuse a folder under another policy's name, and settings that it brings itself.

    Raises:
        MissingError, UsageError: see `load_bundle`; or refused.
    """
    refuse_overruled(config, _BROUGHT, folder)
    known = {name: _fixed(one) for name, one in _POLICIES.items()}
    refuse_other_size(_fixed(read_architecture(folder)), _fixed(preset), known, folder)


def _fixed(architecture: Architecture) -> Architecture:
    """What a preset fixes: not what data decide, nor what trainings have set otherwise."""
    towers = tuple(
        replace(tower, mean=(0.0,) * 3, std=(1.0,) * 3, layer_scale=1.0)
        for tower in architecture.towers
    )
    return replace(
        architecture,
        towers=towers,
        views=0,
        proprio_dim=0,
        action_dim=0,
        chunk_steps=1,
        action_positions=ActionPositions.PER_NUMBER,
    )
