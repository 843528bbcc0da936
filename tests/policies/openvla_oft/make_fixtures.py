"""Write what the reference networks compute, for the tests to compare with.

Run in an environment of its own with torch, timm 0.9.10, torchvision, diffusers, accelerate and the
reference's fork of transformers (moojink/transformers-openvla-oft):

    python make_fixtures.py --oft CHECKOUT --openvla CHECKOUT [--out fixtures]

with checkouts of moojink/openvla-oft (213c5ff) and openvla/openvla (c8f03f4). It needs no weights:
the networks are tiny, or (for the list of keys) built without storage. Base OpenVLA is causal; the
fork changes only the SDPA attention of Llama, so base OpenVLA runs there with eager attention,
which is transformers 4.40.1 unchanged.
"""

import argparse
import importlib
import json
import sys
import types
from pathlib import Path

import numpy as np
import timm
import tiny
import torch
from PIL import Image
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer

VISION_ID = "dinosiglip-vit-so-224px"


@register_model
def tiny_dinov2(**settings: object) -> VisionTransformer:
    """Wired as timm's vit_large_patch14_reg4_dinov2."""
    wiring = {"init_values": 1e-5, "reg_tokens": 4, "no_embed_class": True}
    return _build(tiny.DINO | wiring, settings)


@register_model
def tiny_siglip(**settings: object) -> VisionTransformer:
    """Wired as timm's vit_so400m_patch14_siglip_224."""
    return _build(tiny.SIGLIP | {"class_token": False, "global_pool": "map"}, settings)


def _build(sizes: dict, settings: dict) -> VisionTransformer:
    kept = {name: settings[name] for name in ("img_size", "num_classes")}
    return VisionTransformer(patch_size=tiny.PATCH_PX, **sizes, **kept)


def load_reference(checkout: Path) -> types.SimpleNamespace:
    """Import the modelling files only: the packages around them import whole training stacks."""
    for name in [module for module in sys.modules if module.split(".")[0] == "prismatic"]:
        del sys.modules[name]
    parts = ("", ".extern", ".extern.hf", ".training", ".vla", ".models")
    for name in [f"prismatic{part}" for part in parts]:
        package = types.ModuleType(name)
        package.__path__ = [str(checkout.joinpath(*name.split(".")))]
        sys.modules[name] = package
    names = {
        "modeling": "prismatic.extern.hf.modeling_prismatic",
        "configuration": "prismatic.extern.hf.configuration_prismatic",
        "processing": "prismatic.extern.hf.processing_prismatic",
    }
    if (checkout / "prismatic/models/action_heads.py").is_file():
        names |= {
            "heads": "prismatic.models.action_heads",
            "projectors": "prismatic.models.projectors",
            "masks": "prismatic.training.train_utils",
            "tokens": "prismatic.vla.action_tokenizer",
        }
    return types.SimpleNamespace(**{key: importlib.import_module(n) for key, n in names.items()})


def make_config(reference: types.SimpleNamespace, text: dict, attention: str) -> object:
    """The published configuration, with a language model of these sizes."""
    config = reference.configuration.OpenVLAConfig(
        vision_backbone_id=VISION_ID,
        llm_backbone_id="llama2-7b-pure",
        arch_specifier="no-align+fused-gelu-mlp",
        image_resize_strategy="resize-naive",
        text_config={"pad_token_id": 32000, **text},
        pad_token_id=32000,
        pad_to_multiple_of=64,
        norm_stats=tiny.STATISTICS,
    )
    config._attn_implementation = attention
    return config


def make_tiny(reference: types.SimpleNamespace, views: int, attention: str) -> torch.nn.Module:
    """The reference's network at the tiny sizes, with the shared weights."""
    configuration = reference.configuration
    configuration.VISION_BACKBONE_TO_TIMM_ID[VISION_ID] = ["tiny_dinov2", "tiny_siglip"]
    configuration.VISION_BACKBONE_TO_RESOLUTION[VISION_ID] = [tiny.IMAGE_PX, tiny.IMAGE_PX]
    model = reference.modeling.OpenVLAForActionPrediction(
        make_config(reference, tiny.TEXT, attention)
    )
    fill(model, "")
    if views > 1:
        model.vision_backbone.set_num_images_in_input(views)
    return model.eval()


def fill(module: torch.nn.Module, prefix: str) -> None:
    """Give every parameter its shared value."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            value = tiny.weight(prefix + name, tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(value))


def run_oft(reference: types.SimpleNamespace) -> dict[str, np.ndarray]:
    """Parallel decoding: features, hidden states, chunks, and the training losses."""
    model = make_tiny(reference, 2, "sdpa")
    width = tiny.TEXT["hidden_size"]
    head = reference.heads.L1RegressionActionHead(input_dim=width, hidden_dim=width)
    projector = reference.projectors.ProprioProjector(llm_dim=width, proprio_dim=8)
    fill(head, "action_head.")
    fill(projector, "proprio_projector.")
    data = {key: torch.from_numpy(value) for key, value in tiny.inputs(2).items()}
    kept: dict[str, np.ndarray] = {}
    features = model.vision_backbone(data["pixels"])
    kept["features"] = features.numpy()
    kept["visual_tokens"] = model.projector(features).numpy()
    for row, prompt in enumerate(tiny.PROMPTS):
        call = {
            "input_ids": torch.tensor([prompt]),
            "attention_mask": torch.ones(1, len(prompt), dtype=torch.int64),
            "pixel_values": data["pixels"][row : row + 1],
            "proprio": data["state"][row].numpy(),
            "proprio_projector": projector,
        }
        chunk, hidden = model.predict_action(**call, action_head=head)
        kept[f"chunk_{row}"], kept[f"action_hidden_{row}"] = chunk, hidden.numpy()
        kept[f"token_chunk_{row}"] = model.predict_action(**call)[0]
    return kept | run_training(reference, model, head, projector, data)


def run_training(
    reference: types.SimpleNamespace,
    model: torch.nn.Module,
    head: torch.nn.Module,
    projector: torch.nn.Module,
    data: dict[str, torch.Tensor],
) -> dict[str, np.ndarray]:
    """One padded batch through the training pass, and both losses."""
    vocabulary = types.SimpleNamespace(vocab_size=32000, batch_decode=list, decode=list)
    tokens = reference.tokens.ActionTokenizer(vocabulary)
    rows, labels = [], []
    for prompt, actions in zip(tiny.PROMPTS, data["actions"].numpy(), strict=True):
        ids = [*np.concatenate(tokens(actions)).tolist(), 2]
        rows.append(torch.tensor([*prompt, *ids]))
        labels.append(torch.tensor([-100] * len(prompt) + ids))
    pad = torch.nn.utils.rnn.pad_sequence
    ids_BL = pad(rows, batch_first=True, padding_value=32000)
    labels_BL = pad(labels, batch_first=True, padding_value=-100)
    output = model(
        input_ids=ids_BL,
        attention_mask=ids_BL.ne(32000),
        pixel_values=data["pixels"],
        labels=labels_BL,
        proprio=data["state"],
        proprio_projector=projector,
        output_hidden_states=True,
    )
    masks = reference.masks
    targets = labels_BL[:, 1:]
    chosen = masks.get_current_action_mask(targets) | masks.get_next_actions_mask(targets)
    patches = output.projector_features.shape[1]
    text = output.hidden_states[-1][:, patches:-1]
    predicted = head.predict_action(text[chosen].reshape(len(rows), 56, -1))
    loss = torch.nn.L1Loss()(data["actions"], predicted)
    return {
        "hidden_states": torch.stack(output.hidden_states).numpy(),
        "logits": output.logits[..., tiny.KEPT_COLUMNS][:, patches:].numpy(),
        "action_token_ids": np.stack([row[-57:-1].numpy() for row in rows]),
        "trained_chunk": predicted.numpy(),
        "action_l1": np.array(loss.item()),
        "action_token_ce": np.array(output.loss.item()),
    }


def run_base(reference: types.SimpleNamespace) -> dict[str, np.ndarray]:
    """Causal attention and one token after the other."""
    model = make_tiny(reference, 1, "eager")
    pixels = torch.from_numpy(tiny.inputs(1)["pixels"])
    kept: dict[str, np.ndarray] = {}
    for row, prompt in enumerate(tiny.PROMPTS):
        call = {
            "input_ids": torch.tensor([prompt]),
            "attention_mask": torch.ones(1, len(prompt), dtype=torch.int64),
            "pixel_values": pixels[row : row + 1],
        }
        output = model(**call, output_hidden_states=True)
        kept[f"hidden_states_{row}"] = torch.stack(output.hidden_states).numpy()
        kept[f"logits_{row}"] = output.logits[..., -1:, tiny.KEPT_COLUMNS].numpy()
        ids = model.generate(**call, max_new_tokens=7, do_sample=False)
        kept[f"ids_{row}"] = ids[0, -7:].numpy()
        kept[f"action_{row}"] = model.predict_action(**call, do_sample=False)
    return kept


def run_image_processor(reference: types.SimpleNamespace) -> dict[str, np.ndarray]:
    """Pixels for both towers from one image, with the published settings at a small size."""
    processor = reference.processing.PrismaticImageProcessor(
        use_fused_vision_backbone=True,
        image_resize_strategy="resize-naive",
        input_sizes=[(3, tiny.IMAGE_PX, tiny.IMAGE_PX)] * 2,
        interpolations=["bicubic", "bicubic"],
        means=[(0.485, 0.456, 0.406), (0.5, 0.5, 0.5)],
        stds=[(0.229, 0.224, 0.225), (0.5, 0.5, 0.5)],
        tvf_normalize_params=tiny.PREPROCESSOR["tvf_normalize_params"],
    )
    image = tiny.images()["noise"][: tiny.IMAGE_PX, : tiny.IMAGE_PX]
    pixels = processor(Image.fromarray(image), return_tensors="pt")["pixel_values"]
    return {"pixel_values": pixels.numpy()}


def key_list(reference: types.SimpleNamespace) -> dict[str, list[int]]:
    """Every key and shape at the published configuration, built without storage."""
    from accelerate import init_empty_weights

    with init_empty_weights():
        text = {"vocab_size": 32064}
        model = reference.modeling.OpenVLAForActionPrediction(make_config(reference, text, "sdpa"))
        head = reference.heads.L1RegressionActionHead(input_dim=4096, hidden_dim=4096)
        projector = reference.projectors.ProprioProjector(llm_dim=4096, proprio_dim=8)
    modules = {"": model, "action_head.": head, "proprio_projector.": projector}
    return {
        prefix + key: list(tensor.shape)
        for prefix, module in modules.items()
        for key, tensor in module.state_dict().items()
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--oft", type=Path, required=True)
    parser.add_argument("--openvla", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    oft = load_reference(chosen.oft)
    text = json.dumps({"reference": "moojink/openvla-oft 213c5ff", "keys": key_list(oft)})
    (chosen.out / "reference_keys_openvla_oft_7b.json").write_text(text + "\n")
    with torch.no_grad():
        np.savez_compressed(
            chosen.out / "reference_oft_tiny.npz", **run_oft(oft), **run_image_processor(oft)
        )
        base = load_reference(chosen.openvla)
        np.savez_compressed(chosen.out / "reference_openvla_tiny.npz", **run_base(base))
    print(f"written with timm {timm.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
