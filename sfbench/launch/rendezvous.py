"""How the processes of a training on several nodes find each other."""

import os
import socket
import subprocess
import sys


def join_slurm_job() -> None:
    """Set what `torch.distributed` reads (MASTER_ADDR, RANK, ...), from Slurm's variables.

    Does nothing in a job of one task, or outside Slurm. Submitit knows the variables; only the
    first node's name is looked up, as clusters may name nodes otherwise than the network does.
    """
    if int(os.environ.get("SLURM_NTASKS", "1")) < 2 or "SUBMITIT_EXECUTOR" not in os.environ:
        return
    from submitit.helpers import TorchDistributedEnvironment

    environment = TorchDistributedEnvironment()
    environment.master_addr = node_address(environment.master_addr)
    environment.export(set_cuda_visible_devices=False, overwrite=True)
    print(
        f"rank {environment.rank} of {environment.world_size}, "
        f"at {environment.master_addr}:{environment.master_port}",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def node_address(node: str) -> str:
    """A node's name if the network knows it, else the address that Slurm uses."""
    try:
        socket.getaddrinfo(node, None)
    except OSError:
        shown = subprocess.run(
            ["scontrol", "show", "node", node],
            capture_output=True, text=True, check=False, timeout=60,
        ).stdout  # fmt: skip
        for word in shown.split():
            if word.startswith("NodeAddr="):
                return word.removeprefix("NodeAddr=")
    return node
