"""The processes that train together, through accelerate: one, DDP, or FSDP."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs, gather_object
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from sfbench.errors import UsageError

_PATIENCE = timedelta(days=2)
"""For the others to wait while the first process rolls a checkpoint out or writes it."""
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def leave_processes() -> None:
    """At the end of the program; until then further runs share the connection."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class Processes:
    """This process's place among those started by torchrun or accelerate launch.

    Attributes:
        rank: 0 is the first, which writes files.
        count: how many there are.
        device: this one's.
        shards: whether each holds a piece of every weight, all of them in float32.
    """

    def __init__(self, device: str, precision: str, distributed: str) -> None:
        """Join them. Raises UsageError for a device that is not there."""
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError("device=cuda: torch finds no GPU here; use device=cpu or device=auto")
        # Accelerate keeps its settings for the whole process; a second run may have others.
        AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001
        self._accelerator = Accelerator(
            cpu=device == "cpu",
            mixed_precision=precision,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
        )
        self.rank = int(self._accelerator.process_index)
        self.count = int(self._accelerator.num_processes)
        self.device: torch.device = self._accelerator.device
        self.shards = distributed == "fsdp" and self.count > 1

    @property
    def first(self) -> bool:
        """Whether this one writes files."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Move a module to the device and share it among the processes."""
        if not self.shards:
            return cast("nn.Module", self._accelerator.prepare_model(module))
        module.to(self.device)
        for parameter in module.parameters():
            # A shard group is gathered in one dtype.
            parameter.data = parameter.data.float()
        mesh = init_device_mesh(self.device.type, (self.count,))
        # Inner blocks first: an outer one then takes what is left.
        for part in reversed(list(module.modules())):
            if isinstance(part, nn.ModuleList) and len(part) > 1:
                for block in part:
                    fully_shard(block, mesh=mesh)
        fully_shard(module, mesh=mesh)
        return module

    def autocast(self) -> Any:  # noqa: ANN401 (a context manager of accelerate)
        """Around the forward pass."""
        return self._accelerator.autocast()

    @contextmanager
    def accumulating(self, module: nn.Module, last: bool) -> Iterator[None]:
        """Around all passes of a step but the last, gradients stay in their process."""
        with nullcontext() if last else self._accelerator.no_sync(module):
            yield

    def sums(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes, in float64."""
        if self.count == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor)
        return [float(value) for value in tensor]

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Of parameters that are not wrapped."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= self.count

    def gathered(self, texts: Sequence[str]) -> list[str]:
        """Every process's texts, on every process."""
        return list(gather_object(list(texts)))

    def wait(self) -> None:
        """For all others."""
        self._accelerator.wait_for_everyone()

    def module_state(self, module: nn.Module) -> dict[str, Tensor]:
        """A wrapped module's whole state on the CPU; empty but on the first process."""
        found = cast("dict[str, Tensor]", get_model_state_dict(module, options=_WHOLE))
        if self.device.type != "cpu":
            return found
        # What lay on the CPU already is no copy, and would change with the weights.
        return {name: tensor.clone() for name, tensor in found.items()}

    def load_module(self, module: nn.Module, state: dict[str, Tensor]) -> None:
        """Inverse of `module_state`; entries that are not there are left as they are."""
        options = StateDictOptions(full_state_dict=True, strict=False)
        set_model_state_dict(module, cast("dict[str, Any]", state), options=options)

    def moments(
        self, module: nn.Module, optimisers: Sequence[torch.optim.Optimizer]
    ) -> dict[str, Any]:
        """Optimisers' whole state by parameter name, on the CPU; empty but on the first."""
        found = get_optimizer_state_dict(module, optimisers, options=_WHOLE)
        return cast("dict[str, Any]", found.get("state", {}))

    def load_moments(
        self,
        module: nn.Module,
        optimisers: Sequence[torch.optim.Optimizer],
        names: Sequence[str],
        moments: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        """Inverse of `moments`; `names` are those of the trained parameters, in order."""
        trained = (one for one in module.parameters() if one.requires_grad)
        known = {id(one): name for one, name in zip(trained, names, strict=True)}
        groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        state: dict[str, Any] = {
            "state": {name: dict(slots) for name, slots in moments.items()},
            "param_groups": [
                {**group, "params": [known[id(one)] for one in group["params"]]} for group in groups
            ],
        }
        options = StateDictOptions(full_state_dict=True)
        set_optimizer_state_dict(module, optimisers, state, options=options)
