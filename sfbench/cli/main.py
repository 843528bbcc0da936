"""Entry point. Imports as little as it can: `--help` has to answer at once."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from sfbench.errors import SfbenchError, UnknownNameError

COMMANDS = {
    "eval": "roll a policy out in a suite; the same command again resumes",
    "train": "fine-tune a policy on demonstrations; the same command again resumes",
    "probe": "how much depth a frozen policy's visual tokens hold",
    "collect": "demonstrations from experts or recordings, as a LeRobot dataset; resumes",
    "serve": "serve a policy to openpi or vla-evaluation-harness clients",
    "sweep": "submit a grid of evaluations to Slurm or this machine, watch it, resubmit",
    "report": "leaderboard, tables and a page with videos from run folders",
    "list": "suites, policies, or the tasks of a suite",
    "diff": "every field in which two run folders' cards and provenance differ",
    "doctor": "check this machine: GL, GPU, versions, assets, disk; says how to mend it",
    "assets": "get and check the assets of a family of suites",
    "fetch": "fill the caches of a suite, for machines without network",
    "bench": "measure the rollout engine or a suite against bare MuJoCo, or a policy",
}
"""Each command is the module of that name in this package."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status."""
    try:
        status = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has enough. What Python would flush at its end
        # must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit status and prints errors to stderr."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        import sfbench

        print(sfbench.__version__)
        return 0
    try:
        return _dispatch(arguments[0], arguments[1:])
    except SfbenchError as error:
        print(f"sfbench: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("sfbench: interrupted", file=sys.stderr)
        return 3


def _dispatch(name: str, rest: Sequence[str]) -> int:
    if name not in COMMANDS:
        raise UnknownNameError("command", name, COMMANDS, "Type `sfbench --help`.")
    if name == "list":  # A module may not hide the builtin.
        name = "listing"
    module = import_module(f"sfbench.cli.{name}")
    if any(argument in ("-h", "--help") for argument in rest):
        print(module.__doc__)
        return 0
    status: int = module.command(rest)
    return status


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: sfbench <command> [key=value ...]",
            "",
            *lines,
            "",
            "`sfbench <command> --help` says more. Exit status: 0 done; 1 done, but some episodes",
            "ended in error or invalid; 2 the request was wrong, nothing was run; 3 stopped,",
            "the same command resumes.",
        ]
    )
