"""Files of weights: what is read back, and who may read them."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sfbench.training.weights_file import save_tensors


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660), (0o077, 0o600)])
def test_weights_may_be_read_as_any_new_file(tmp_path: Path, umask: int, mode: int) -> None:
    """On a cluster a group evaluates what one of it has trained."""
    file = tmp_path / "model.safetensors"
    weights = torch.arange(6.0).reshape(2, 3).requires_grad_()
    old = os.umask(umask)
    try:
        save_tensors({"turned": weights.T}, file)
    finally:
        os.umask(old)
    assert file.stat().st_mode & 0o777 == mode
    assert list(tmp_path.iterdir()) == [file]
    assert torch.equal(load_file(file)["turned"], weights.T)
