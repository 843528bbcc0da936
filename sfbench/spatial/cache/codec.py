"""How features are written as numbers: floats of some width, or bytes with a scale a token."""

from enum import StrEnum

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

_TOP = 127


class Codec(StrEnum):
    """The stored form of a feature."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    INT8 = "int8"
    """Whole numbers from -127 to 127 times one scale for each token."""

    @property
    def stored(self) -> DTypeLike:
        """The numpy type on disk; numpy has no bfloat16, so its bits are stored."""
        return {"float32": "<f4", "bfloat16": "<i2", "float16": "<f2", "int8": "i1"}[self.value]

    @property
    def bytes_a_token(self) -> int:
        """Bytes for the scale of each token."""
        return 4 if self is Codec.INT8 else 0

    def pack(self, tokens: Tensor) -> tuple[NDArray[np.generic], NDArray[np.float32] | None]:
        """Numbers of the same shape [..., W], and the scales [...] if there are any."""
        values = tokens.detach().float().cpu()
        if self is Codec.INT8:
            scale = values.abs().amax(dim=-1).clamp(min=torch.finfo(torch.float32).tiny) / _TOP
            whole = (values / scale[..., None]).round().to(torch.int8)
            return whole.numpy(), scale.numpy()
        if self is Codec.BFLOAT16:
            return values.to(torch.bfloat16).view(torch.int16).numpy(), None
        return values.to(getattr(torch, self.value)).numpy(), None

    def unpack(self, stored: NDArray[np.generic], scale: NDArray[np.float32] | None) -> Tensor:
        """Inverse of `pack`, float32."""
        raw = torch.from_numpy(np.array(stored))
        if self is Codec.BFLOAT16:
            raw = raw.view(torch.bfloat16)
        values = raw.float()
        return values if scale is None else values * torch.from_numpy(np.array(scale))[..., None]
