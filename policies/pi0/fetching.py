"""`sfbench fetch` for published checkpoints."""

from ..common.places import locate
from .checkpoint import tokenizer_folder
from .config import Pi0Config
from .published import HUB_FILES


def fetch(config: Pi0Config) -> str:
    """Fetch the checkpoint, and a tokenizer where it has none. Raises MissingError."""
    folder = locate(config.checkpoint, HUB_FILES, config.revision)
    found = dict.fromkeys([folder, tokenizer_folder(folder, config.tokenizer)])
    return "in place: " + ", ".join(map(str, found))
