"""Random initial weights, the same for the same seed whatever else the process drew."""

import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from .architecture import Architecture
from .model import OpenVla

_SMALL = 0.02
_EMBEDDED = ("embedding.positions", "embedding.class_token", "embedding.registers")
_UNSET = float("nan")


def random_model(
    architecture: Architecture,
    seed: int,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> OpenVla:
    """A model to train from scratch, in evaluation mode.

    It is built where it is to live, so that 7B parameters need not pass through float32 first;
    equal seeds give equal weights on the same kind of device.

    Linear and convolution weights are normal with variance 1 / inputs, so that small widths keep
    their signal; token embeddings have unit variance, like the visual tokens beside them; norms
    start as the identity, biases at 0, LayerScale as the architecture says.
    """
    devices = [torch.cuda.current_device()] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        with torch.device("meta"):
            model = OpenVla(architecture).to(dtype)
        model.to_empty(device=device)
        model.language.rebuild_buffers(device)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(_UNSET)
            for module in model.modules():
                _initialise(module)
            for name, parameter in model.vision.named_parameters():
                if name.endswith(_EMBEDDED):
                    parameter.normal_(std=_SMALL)
                elif name.endswith("lambda1"):
                    parameter.fill_(architecture.towers[0].layer_scale)
    forgotten = [name for name, value in model.named_parameters() if value.isnan().any()]
    assert not forgotten, f"no initial value for {forgotten}"
    return model.eval()


def initialise_part(part: nn.Module, seed: int) -> None:
    """Fill a part of a model, on the CPU, by the same rules; equal seeds give equal weights."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in part.modules():
            _initialise(module)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        inputs = module.weight[0].numel()
        module.weight.normal_(std=inputs**-0.5)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, nn.Embedding):
        module.weight.normal_()
    elif isinstance(module, nn.LayerNorm):
        module.weight.fill_(1.0)
        module.bias.zero_()
    elif isinstance(module, LlamaRMSNorm):
        module.weight.fill_(1.0)
