"""The family's vision and language layers without a robot, for pretraining on 2-D questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfbench.training.vlm.reader import ReaderRequest

from ..common.training import resized_views
from .architecture import Architecture
from .factory import SMALL_PROCESSING
from .initial import random_model
from .model import ModelInputs, Pi0
from .presets import PI0_MICRO, PI0_MINI
from .processing.prompt import PromptTokenizer, padded, word_tokenizer
from .processing.resize import to_image, to_pixels
from .starting import save_start


class Pi0Reader:
    """Implements `sfbench.training.vlm.reader.Reader`: the prefix alone, without state or noise."""

    def __init__(self, model: Pi0, tokenizer: PromptTokenizer, cameras: tuple[str, ...]) -> None:
        side = model.architecture.patches_per_side
        self.module, self.grid = model, (side, side)
        self.width = model.language_width
        self._tokenizer, self._cameras = tokenizer, cameras

    def views(self, images: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """See Reader."""
        side = self.module.architecture.image_px

        def resize(image: NDArray[np.uint8], _camera: str) -> NDArray[np.uint8]:
            if image.shape[:2] == (side, side):
                return image
            return to_image(to_pixels(image, SMALL_PROCESSING.resize, side))

        return resized_views(images, self._cameras, resize)

    def read(self, images_BVCHW: Tensor, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See Reader."""
        device, batch = images_BVCHW.device, len(texts)
        ids, written = padded(self._tokenizer, texts)
        inputs = ModelInputs(
            images_BVCHW * 2 - 1,
            torch.ones(images_BVCHW.shape[:2], dtype=torch.bool, device=device),
            ids.to(device),
            written.to(device),
            images_BVCHW.new_zeros(batch, 0),
        )
        prefix = self.module.prefix(inputs)
        states, patches = prefix.last_BLD, prefix.patches
        views = [
            states[:, view * patches : (view + 1) * patches] for view in range(len(self._cameras))
        ]
        last = len(self._cameras) * patches + written.sum(dim=1).to(device) - 1
        return torch.stack(views, dim=1), states[torch.arange(batch, device=device), last]

    def save(self, folder: Path) -> None:
        """See Reader."""
        save_start(self.module, folder)
        self._tokenizer.save(folder)


def make_mini_reader(request: ReaderRequest) -> Pi0Reader:
    """Reader of `pi0_mini`."""
    return _reader(PI0_MINI, request)


def make_micro_reader(request: ReaderRequest) -> Pi0Reader:
    """Reader of `pi0_micro`."""
    return _reader(PI0_MICRO, request)


def _reader(preset: Architecture, request: ReaderRequest) -> Pi0Reader:
    tokenizer = word_tokenizer(request.texts, preset.prompt_tokens, preset.vocab)
    return Pi0Reader(random_model(preset, request.seed), tokenizer, request.cameras)
