"""Started by torchrun: short runs with DDP and with FSDP. Arguments: dataset, folder for runs."""

import sys
from pathlib import Path

from sfbench.training.processes import leave_processes
from sfbench.training.run import train
from tests.training.runs import MUON, request

if __name__ == "__main__":
    dataset, out = Path(sys.argv[1]), Path(sys.argv[2])
    for name in ("ddp", "fsdp"):
        train(request(dataset, out / name, distributed=name, steps=4, ema_decay=0.5))
        # And on from a checkpoint.
        train(request(dataset, out / name, distributed=name, ema_decay=0.5))
    train(request(dataset, out / "muon", steps=4, optimiser=MUON))
    train(request(dataset, out / "muon", optimiser=MUON))
    train(request(dataset, out / "pi0", "pi0_micro"))
    leave_processes()
