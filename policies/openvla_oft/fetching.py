"""`sfbench fetch` for published checkpoints."""

from ..common.places import locate
from .config import OpenVla7bConfig
from .published import FILES


def fetch(config: OpenVla7bConfig) -> str:
    """Fetch the checkpoint, and the base model of its adapter. Raises MissingError."""
    found = [locate(config.checkpoint, FILES, config.revision)]
    if config.base_checkpoint:
        found.append(locate(config.base_checkpoint, FILES))
    return "in place: " + ", ".join(map(str, found))
