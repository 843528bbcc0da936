"""Usage texts: every key of a command is in them, and they may be read in part."""

import dataclasses
import re
import subprocess
import sys

import pytest

from sfbench.cli import eval as eval_command
from sfbench.cli import serve


@pytest.mark.parametrize(
    ("usage", "config"),
    [
        (eval_command.__doc__, eval_command.EvalConfig),
        (serve.__doc__, serve.ServeConfig),
    ],
    ids=["eval", "serve"],
)
def test_every_key_is_in_the_usage_text(usage: str, config: type) -> None:
    keys = []
    for item in dataclasses.fields(config):
        nested = item.default_factory
        if dataclasses.is_dataclass(nested):
            keys += [f"{item.name}.{inner.name}" for inner in dataclasses.fields(nested)]
        else:
            keys.append(item.name)
    named = set(re.findall(r"(?<![\w.])([\w.]+)=", usage))
    assert not [key for key in keys if key not in named]


def test_a_reader_that_has_enough_is_no_error() -> None:
    """As in `sfbench eval --help | head -1`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sfbench", "eval", "--help"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 141
