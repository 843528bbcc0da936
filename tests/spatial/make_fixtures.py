"""Write what the reference networks compute, for the tests to compare with.

    python make_fixtures.py --checkout CHECKOUT [--out fixtures]

with a checkout of OpenHelix-Team/Spatial-Forcing (4e9f66c), which holds a copy of `vggt` by
facebookresearch; needs torch, accelerate, einops and huggingface_hub, and no weights: the networks
are tiny, or (for the list of keys) built without storage.
"""

import argparse
import functools
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import tiny
import torch


def fill(module: torch.nn.Module, prefix: str) -> None:
    """Give every parameter its shared value."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(tiny.weight(prefix + name, tuple(parameter.shape))))


def make_aggregator(sizes: dict) -> torch.nn.Module:
    """The reference's aggregator, its patch embedding at the tiny sizes too."""
    from vggt.layers import vision_transformer
    from vggt.models.aggregator import Aggregator

    made = Aggregator(
        img_size=sizes["image_px"],
        patch_size=tiny.PATCH_PX,
        embed_dim=sizes["width"],
        depth=sizes["depth"],
        num_heads=sizes["heads"],
        num_register_tokens=sizes["registers"],
        patch_embed="conv",
    )
    made.patch_embed = vision_transformer.DinoVisionTransformer(
        img_size=sizes["image_px"],
        patch_size=tiny.PATCH_PX,
        embed_dim=sizes["width"],
        depth=sizes["patch_depth"],
        num_heads=sizes["patch_heads"],
        num_register_tokens=sizes["registers"],
        # As the aggregator builds its own.
        block_fn=functools.partial(
            vision_transformer.Block, attn_class=vision_transformer.MemEffAttention
        ),
        init_values=1.0,
        interpolate_antialias=True,
        interpolate_offset=0.0,
        block_chunks=0,
    )
    fill(made, "aggregator.")
    return made.eval()


def run_vggt(case: str) -> dict[str, np.ndarray]:
    """Every layer of the aggregator, depth, points and cameras."""
    from vggt.heads.camera_head import CameraHead
    from vggt.heads.dpt_head import DPTHead

    sizes = tiny.CASES[case]
    images = torch.from_numpy(tiny.images(case))
    layers, start = make_aggregator(sizes)(images)
    kept = {f"{case}_layer_{index}": layer.numpy() for index, layer in enumerate(layers)}
    width = 2 * sizes["width"]
    camera = CameraHead(
        dim_in=width, trunk_depth=sizes["camera_depth"], num_heads=sizes["camera_heads"]
    ).eval()
    fill(camera, "camera_head.")
    kept[f"{case}_poses"] = torch.stack(camera(layers)).numpy()
    for name, outputs, activation in (("depth", 2, "exp"), ("point", 4, "inv_log")):
        head = DPTHead(
            dim_in=width,
            patch_size=tiny.PATCH_PX,
            output_dim=outputs,
            activation=activation,
            conf_activation="expp1",
            features=sizes["features"],
            out_channels=list(sizes["channels"]),
            intermediate_layer_idx=list(sizes["layers"]),
        ).eval()
        fill(head, f"{name}_head.")
        values, confidence = head(layers, images=images, patch_start_idx=start)
        kept[f"{case}_{name}"] = values.numpy()
        kept[f"{case}_{name}_confidence"] = confidence.numpy()
    return kept


def load_file(path: Path, name: str) -> types.ModuleType:
    """Import one file only: the packages around it import whole training stacks."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_alignment(checkout: Path) -> dict[str, np.ndarray]:
    """The teacher's features on the policy's grid, projected tokens, and the loss."""
    pooling = load_file(checkout / "openvla-SF/prismatic/util/pooling_utils.py", "pooling")
    projectors = load_file(checkout / "openvla-SF/prismatic/models/projectors.py", "projectors")
    sizes = tiny.POOLING
    hidden = torch.from_numpy(tiny.draw("hidden", sizes["hidden"]))
    image = [tiny.PATCH_PX * side for side in sizes["patches"]]
    reference = torch.zeros(2, 2 * sizes["grid"][0] * sizes["grid"][1], 1)
    kept = {
        f"pooled_{use}": pooling.custom_pooling(
            hidden, sizes["patches"], image, reference, "bilinear", use
        ).numpy()
        for use in (True, False)
    }
    sizes = tiny.LOSS
    projector = projectors.AlignProjector(
        sizes["policy_width"], sizes["teacher_width"] // 2, use_vlm_norm=True
    )
    fill(projector, "projector.")
    policy = torch.from_numpy(tiny.draw("policy", (*sizes["tokens"], sizes["policy_width"])))
    target = torch.from_numpy(tiny.draw("target", (*sizes["tokens"], sizes["teacher_width"])))
    projected = projector.align_dimension(policy)
    kept["projected"] = projected.numpy()
    kept["loss"] = projector.compute_align_loss_cosine(projected, target).mean().numpy()
    return kept


def key_list() -> dict[str, list[int]]:
    """Every key and shape at the published configuration, built without storage."""
    from accelerate import init_empty_weights
    from vggt.models.vggt import VGGT

    with init_empty_weights():
        model = VGGT()
    return {key: list(tensor.shape) for key, tensor in model.state_dict().items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures")
    chosen = parser.parse_args()
    sys.path.insert(0, str(chosen.checkout / "openvla-SF"))
    torch.set_num_threads(1)
    text = json.dumps({"reference": "OpenHelix-Team/Spatial-Forcing 4e9f66c", "keys": key_list()})
    (chosen.out / "reference_keys_vggt_1b.json").write_text(text + "\n")
    with torch.no_grad():
        for case in tiny.CASES:
            np.savez_compressed(chosen.out / f"reference_vggt_{case}.npz", **run_vggt(case))
        np.savez_compressed(
            chosen.out / "reference_alignment.npz", **run_alignment(chosen.checkout)
        )
    print(f"written with torch {torch.__version__}")


if __name__ == "__main__":
    main()
