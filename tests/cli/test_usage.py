"""A usage text names every key of its command."""

import dataclasses
import re

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
