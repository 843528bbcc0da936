"""The family's vision and language layers without a robot, for pretraining on 2-D questions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfbench.training.vlm.reader import ReaderRequest

from ..common.training import resized_views
from .architecture import ActionHead, ActionPositions, Architecture
from .initial import random_model
from .keys import build_key_table
from .model import ModelInputs, OpenVla
from .presets import OPENVLA_OFT_MICRO, OPENVLA_OFT_MINI
from .processing.images import ImageStep, apply_steps
from .starting import save_start
from .tokenizer import WordTokenizer


class OpenVlaReader:
    """Implements `sfbench.training.vlm.reader.Reader`.

    The same sequence as the policy's, with neither state nor actions: BOS, views, text, one empty
    position, stop.
    """

    def __init__(self, model: OpenVla, tokenizer: WordTokenizer, cameras: tuple[str, ...]) -> None:
        architecture = model.architecture
        side = architecture.patches_per_side
        self.module, self.grid = model, (side, side)
        self.width = architecture.language.hidden
        self._tokenizer, self._cameras = tokenizer, cameras

    def views(self, images: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """See Reader."""
        side = self.module.architecture.image_px

        def resize(image: NDArray[np.uint8], _camera: str) -> NDArray[np.uint8]:
            if image.shape[:2] == (side, side):
                return image
            return apply_steps(image, (ImageStep.LANCZOS3,), side)

        return resized_views(images, self._cameras, resize)

    def read(self, images_BVCHW: Tensor, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See Reader."""
        towers = []
        for tower in self.module.architecture.towers:
            mean, std = (
                images_BVCHW.new_tensor(one)[:, None, None] for one in (tower.mean, tower.std)
            )
            towers.append((images_BVCHW - mean) / std)
        prompts = tuple(self._tokenizer.encode(text) for text in texts)
        output = self.module(ModelInputs(torch.stack(towers, dim=2), prompts, None))
        views = [output.last_BLD[:, view] for view in output.layout.views]
        # What predicts the first action position stands at the text's last token.
        summary = output.layout.predicting(output.last_BLD, 1)[:, 0]
        return torch.stack(views, dim=1), summary

    def save(self, folder: Path) -> None:
        """See Reader."""
        with torch.device("meta"):
            plain = OpenVla(self.module.architecture)
        table = build_key_table(self.module.architecture, plain)
        save_start(table, self.module.state_dict(), folder)
        self._tokenizer.save(folder)


def make_mini_reader(request: ReaderRequest) -> OpenVlaReader:
    """Reader of `openvla_oft_mini`."""
    return _reader(OPENVLA_OFT_MINI, request)


def make_micro_reader(request: ReaderRequest) -> OpenVlaReader:
    """Reader of `openvla_oft_micro`."""
    return _reader(OPENVLA_OFT_MICRO, request)


def _reader(preset: Architecture, request: ReaderRequest) -> OpenVlaReader:
    architecture = replace(
        preset,
        views=len(request.cameras),
        proprio_dim=0,
        action_dim=1,
        chunk_steps=1,
        action_head=ActionHead.TOKENS,
        action_positions=ActionPositions.PER_NUMBER,
    )
    room = preset.language.token_vocab - preset.action_bins
    tokenizer = WordTokenizer.from_texts(request.texts, room)
    return OpenVlaReader(random_model(architecture, request.seed), tokenizer, request.cameras)
