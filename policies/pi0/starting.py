"""Weights of a small model to start training from: a pretrained start, or an own checkpoint."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from sfbench.errors import UsageError
from sfbench.training.weights_file import save_tensors

from ..common.training import copy_matching
from .bundle import Bundle
from .keys import PREFIX, build_key_table, without_prefix
from .loading import WEIGHTS_FILE, weight_files
from .model import Pi0
from .processing.prompt import load_tokenizer, words_of
from .processor import Processor

VISION_AND_LANGUAGE = ("core.model.vlm.",)


def started(bundle: Bundle, folder: Path, instructions: tuple[str, ...]) -> Bundle:
    """The same with vision and language, and what else has equal shapes, from a folder.

    Raises:
        MissingError: the folder has no weights or no tokenizer.
        UsageError: they do not fit, or instructions have words that the tokenizer lacks.
    """
    old, model = bundle.processor, bundle.model
    architecture = old.architecture
    files = weight_files(folder)
    tokenizer = load_tokenizer(folder, architecture.prompt_tokens, architecture.vocab)
    if unknown := sorted(words_of(instructions) - tokenizer.words):
        raise UsageError(
            f"start={folder}: its word list lacks {', '.join(unknown)}, which the instructions "
            "have; pretrain on the suite that the demonstrations come from"
        )
    table = build_key_table(model)
    own: dict[str, Tensor] = {}
    for file in files:
        tensors = load_file(file)
        names = without_prefix(list(tensors))
        own |= {table.targets.get(names[key], key): tensor for key, tensor in tensors.items()}
    copy_matching(model.state_dict(), own, VISION_AND_LANGUAGE, str(folder))
    processor = Processor(
        old.config,
        architecture,
        old.interface,
        tokenizer,
        old.action_statistics,
        old.state_statistics,
    )
    return Bundle(model, processor)


def save_start(model: Pi0, folder: Path) -> None:
    """Write vision and language layers under published names; the tokenizer lies beside them."""
    state = model.state_dict()
    chosen = {
        f"{PREFIX}{key}": state[name]
        for key, name in build_key_table(model).targets.items()
        if name.startswith(VISION_AND_LANGUAGE)
    }
    save_tensors(chosen, folder / WEIGHTS_FILE)
