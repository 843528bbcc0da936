"""usage: python -m sfbench_policies.weights CHECKPOINT NAME

Copies a checkpoint of `openvla_oft_micro` or `openvla_oft_mini` to the folder NAME here, with
weights in float16 and NAME as the arm of its rows, and prints what its card, README.md, has to say.
"""  # noqa: D415 (a usage text)

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..openvla_oft.bundle import load_bundle

_HERE = Path(__file__).parent


def main(arguments: Sequence[str]) -> int:
    """Copy one checkpoint."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    checkpoint, name = arguments
    bundle = load_bundle(Path(checkpoint), torch.float32, "cpu")
    bundle = replace(bundle, training={**bundle.training, "arm": name})
    folder = _HERE / name
    halves = {key: value.half() for key, value in bundle.model.state_dict().items()}
    bundle.save(folder, halves)
    # Weights are no modules: they are installed only where they lie in a package.
    (folder / "__init__.py").write_text('"""Weights: see README.md."""\n', encoding="utf-8")
    weights = (folder / "model.safetensors").read_bytes()
    print(f"SHA-256 {hashlib.sha256(weights).hexdigest()}, {len(weights) / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
