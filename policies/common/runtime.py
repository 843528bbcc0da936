"""On what, and how exactly, a network computes."""

import torch

from sfbench.errors import UnknownNameError, UsageError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def torch_dtype(name: str) -> torch.dtype:
    """The dtype of that name. Raises UnknownNameError."""
    if name not in _DTYPES:
        raise UnknownNameError("dtype", name, _DTYPES)
    return _DTYPES[name]


def torch_device(name: str) -> str:
    """The device to use; `auto` is a GPU where there is one. Raises UsageError."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError as error:
        raise UsageError(f"device={name}: allowed auto, cpu, cuda, cuda:0, ...") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device={name}: torch finds no GPU here; use device=cpu or device=auto")
    return name
