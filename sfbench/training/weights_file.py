"""Tensors as one safetensors file."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write a file that others may read as they may any new file there.

    Raises:
        SafetensorError: it cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, file, metadata={"format": "pt"})
    # The library's are for their owner alone; a plain new file shows what umask leaves.
    plain_file = file.with_name(f"{file.name}.mode")
    plain_file.touch()
    file.chmod(plain_file.stat().st_mode & 0o777)
    plain_file.unlink()
