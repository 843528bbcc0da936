"""Write what the reference networks compute, for the tests to compare with.

Each reference runs in an environment of its own:

    python make_fixtures.py openpi CHECKOUT     # Physical-Intelligence/openpi 15a9616
    python make_fixtures.py lerobot CHECKOUT    # huggingface/lerobot 7427f31

openpi: transformers 4.53.2 with openpi's `transformers_replace` copied over it, jax, flax, einops,
jaxtyping 0.2.36, beartype, openpi-client 0.1.2. lerobot: transformers 5.5, einops, draccus. No
weights are needed: the networks are tiny, or (for the list of keys) built without storage.
"""

import argparse
import importlib
import json
import sys
import types
from pathlib import Path

import numpy as np
import tiny
import torch
from references import import_lerobot

OUT = Path(__file__).parent / "fixtures"


def shrink(module: types.ModuleType, vlm: str, expert: str) -> None:
    """Let a reference module build tiny networks: it fixes vision sizes and vocabulary itself."""
    build_vlm, build_expert = getattr(module, vlm), getattr(module, expert)

    def tiny_vlm(config: object) -> torch.nn.Module:
        for name, value in tiny.VISION.items():
            setattr(config.vision_config, name, value)
        config.vision_config.projection_dim = tiny.LANGUAGE["width"]
        config.text_config.vocab_size = tiny.VOCAB
        return build_vlm(config)

    def tiny_expert(config: object) -> torch.nn.Module:
        config.vocab_size = tiny.VOCAB
        return build_expert(config)

    setattr(module, vlm, tiny_vlm)
    setattr(module, expert, tiny_expert)


def load_openpi(checkout: Path) -> types.SimpleNamespace:
    """The reference's modules, and its network at the tiny sizes."""
    sys.path.insert(0, str(checkout / "src"))
    gemma = importlib.import_module("openpi.models.gemma")
    wiring = importlib.import_module("openpi.models_pytorch.gemma_pytorch")
    pi0 = importlib.import_module("openpi.models_pytorch.pi0_pytorch")
    sizes = {"language": tiny.LANGUAGE, "expert": tiny.EXPERT}
    gemma.get_config = lambda variant: gemma.Config(**sizes[variant])
    shrink(wiring, "PaliGemmaForConditionalGeneration", "GemmaForCausalLM")
    model = pi0.PI0Pytorch(
        types.SimpleNamespace(
            pi05=False,
            paligemma_variant="language",
            action_expert_variant="expert",
            dtype="float32",
            action_dim=tiny.VECTOR,
            action_horizon=tiny.CHUNK_STEPS,
            pytorch_compile_mode=None,
        )
    )
    return types.SimpleNamespace(model=model, masks=pi0.make_att_2d_masks)


def load_lerobot(checkout: Path) -> types.SimpleNamespace:
    """The reference's network at the tiny sizes, and its keys at the published ones."""
    pi0 = import_lerobot(checkout)
    with torch.device("meta"):
        published = pi0.PI0Pytorch(pi0.PI0Config())
    # A policy's weights are saved with this prefix.
    keys = {f"model.{key}": list(value.shape) for key, value in published.state_dict().items()}
    sizes = {"language": tiny.LANGUAGE, "expert": tiny.EXPERT}
    pi0.get_gemma_config = lambda variant: pi0.GemmaConfig(**sizes[variant])
    shrink(pi0, "PaliGemmaForConditionalGenerationWithPiGemma", "PiGemmaForCausalLM")
    config = pi0.PI0Config(chunk_size=tiny.CHUNK_STEPS, n_action_steps=tiny.CHUNK_STEPS)
    config.paligemma_variant, config.action_expert_variant = "language", "expert"
    config.image_resolution = (tiny.IMAGE_PX, tiny.IMAGE_PX)
    return types.SimpleNamespace(
        model=pi0.PI0Pytorch(config), masks=pi0.make_att_2d_masks, keys=keys
    )


def fill(model: torch.nn.Module) -> None:
    """Give every parameter its shared value; tied ones that of the name first met."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = tiny.weight(tied_name(name), tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(value))


def tied_name(name: str) -> str:
    """The embedding's name, also for the output layer that shares its weights."""
    return name.replace("paligemma.lm_head", "paligemma.model.language_model.embed_tokens")


def batch() -> tuple[list, list, torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Images, their masks, padded tokens, their mask, and the vectors."""
    data = {name: torch.from_numpy(value) for name, value in tiny.inputs().items()}
    present = torch.tensor(tiny.VIEWS_PRESENT)
    length = max(map(len, tiny.PROMPTS)) + 2
    ids = torch.tensor([[*prompt, *[0] * (length - len(prompt))] for prompt in tiny.PROMPTS])
    kept = torch.tensor([[i < len(prompt) for i in range(length)] for prompt in tiny.PROMPTS])
    images = [
        torch.where(present[:, v, None, None, None], data["pixels"][:, v], -1.0) for v in (0, 1, 2)
    ]
    return images, [present[:, v] for v in (0, 1, 2)], ids, kept, data


def run(reference: types.SimpleNamespace) -> dict[str, np.ndarray]:
    """Everything that is compared."""
    model = reference.model.eval()
    fill(model)
    images, image_masks, ids, ids_kept, data = batch()
    language = model.paligemma_with_expert.paligemma.model.language_model
    kept: dict[str, np.ndarray] = {}
    layers: list[np.ndarray] = []
    hooks = [
        layer.register_forward_hook(
            lambda _m, _i, out: layers.append((out[0] if isinstance(out, tuple) else out).numpy())
        )
        for layer in language.layers
    ]
    embedded, present, blocks = model.embed_prefix(images, image_masks, ids, ids_kept)
    masks = reference.masks(present, blocks)
    language.config._attn_implementation = "eager"
    mask4 = torch.where(masks[:, None], 0.0, -2.3819763e38)
    (last, _), cache = model.paligemma_with_expert.forward(
        attention_mask=mask4,
        position_ids=present.cumsum(1) - 1,
        inputs_embeds=[embedded, None],
        use_cache=True,
    )
    for hook in hooks:
        hook.remove()
    kept["prefix_embedded"], kept["prefix_present"] = embedded.numpy(), present.numpy()
    kept["prefix_layers"], kept["prefix_last"] = np.stack(layers), last.numpy()
    times = torch.tensor(tiny.TIMES)
    kept["velocity"] = model.denoise_step(
        data["state"], present, cache, data["noise"], times
    ).numpy()
    return kept | sample_and_train(reference, images, image_masks, ids, ids_kept, data)


def sample_and_train(
    reference: types.SimpleNamespace,
    images: list,
    image_masks: list,
    ids: torch.Tensor,
    ids_kept: torch.Tensor,
    data: dict[str, torch.Tensor],
) -> dict[str, np.ndarray]:
    """The chunk from given noise, and the loss of a training pass."""
    model, times = reference.model, torch.tensor(tiny.TIMES)
    given = (images, image_masks, ids, ids_kept, data["state"])
    if hasattr(model, "_preprocess_observation"):
        model._preprocess_observation = lambda _observation, *, train: given
        observation = types.SimpleNamespace(state=data["state"])
        chunk = model.sample_actions("cpu", observation, noise=data["noise"])
        losses = model.forward(observation, data["actions"], data["noise"], times)
    else:
        chunk = model.sample_actions(*given, noise=data["noise"])
        losses = model.forward(*given, data["actions"], data["noise"], times)
    return {"chunk": chunk.numpy(), "losses": losses.numpy()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", choices=("openpi", "lerobot"))
    parser.add_argument("checkout", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    load = {"openpi": load_openpi, "lerobot": load_lerobot}[chosen.reference]
    reference = load(chosen.checkout)
    with torch.no_grad():
        np.savez_compressed(OUT / f"reference_{chosen.reference}_tiny.npz", **run(reference))
    if chosen.reference == "lerobot":
        text = json.dumps({"reference": "huggingface/lerobot 7427f31", "keys": reference.keys})
        (OUT / "reference_keys_pi0.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
