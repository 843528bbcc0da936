"""Random initial weights, the same for the same seed whatever else the process drew."""

import torch
from torch import nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm, GemmaTextScaledWordEmbedding

from .architecture import Architecture
from .model import Pi0
from .network import rebuild_buffers

_SMALL = 0.02
_UNSET = float("nan")


def random_model(
    architecture: Architecture,
    seed: int,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Pi0:
    """A model to train from scratch, in evaluation mode.

    It is built where it is to live, so that 3B parameters need not pass through float32 first;
    equal seeds give equal weights on the same kind of device.

    Linear and convolution weights are normal with variance 1 / inputs, so that small widths keep
    their signal; token embeddings have unit variance after Gemma's own scaling, like the visual
    tokens beside them; norms start as the identity, biases at 0, the velocity at 0.
    """
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        with torch.device("meta"):
            model = Pi0(architecture).to(dtype)
        model.to_empty(device=device)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(_UNSET)
            for module in model.modules():
                _initialise(module)
            model.core.action_out_proj.weight.zero_()
    rebuild_buffers(model.core, device)
    forgotten = [name for name, value in model.named_parameters() if value.isnan().any()]
    assert not forgotten, f"no initial value for {forgotten}"
    return model.eval()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        inputs = module.weight[0].numel()
        module.weight.normal_(std=inputs**-0.5)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, GemmaTextScaledWordEmbedding):
        module.weight.normal_(std=module.embedding_dim**-0.5)
    elif isinstance(module, nn.Embedding):
        module.weight.normal_(std=_SMALL)
    elif isinstance(module, nn.LayerNorm):
        module.weight.fill_(1.0)
        module.bias.zero_()
    elif isinstance(module, GemmaRMSNorm):
        module.weight.zero_()
