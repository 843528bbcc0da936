"""Calls whatever `policy.target` names with the PolicyContext; it has to return a Policy."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sfbench.contracts import Policy, PolicyContext, PolicySpec
from sfbench.errors import UnknownNameError, UsageError


@dataclass
class OwnConfig:
    """Settings.

    Attributes:
        target: `FILE.py:NAME` or `package.module:NAME`; NAME is called as `NAME(context)`, or as
            `NAME(context, checkpoint)` where a checkpoint is given.
        checkpoint: handed on to it.
    """

    target: str = ""
    checkpoint: str | None = None


def make(config: OwnConfig, context: PolicyContext) -> Policy:
    """Factory of the plugin.

    Raises:
        UsageError: the target cannot be found, or returns no policy.
    """
    where, colon, name = config.target.rpartition(":")
    if not colon or not where or not name:
        raise UsageError(
            f"policy.target='{config.target}': write FILE.py:NAME or package.module:NAME"
        )
    module = _module(where)
    if not hasattr(module, name):
        public = [item for item in vars(module) if not item.startswith("_")]
        raise UnknownNameError(f"name in {where}", name, public)
    factory: Callable[..., Policy] = getattr(module, name)
    rest = () if config.checkpoint is None else (config.checkpoint,)
    try:
        policy = factory(context, *rest)
    except Exception as error:
        raise UsageError(
            f"policy.target={config.target}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(getattr(policy, "spec", None), PolicySpec):
        kind = type(policy).__name__
        raise UsageError(f"{config.target} returned a {kind}, whose `spec` is no PolicySpec")
    return policy


def _module(where: str) -> ModuleType:
    if not where.endswith(".py"):
        try:
            return importlib.import_module(where)
        except ModuleNotFoundError as error:
            raise UsageError(f"policy.target: no module '{error.name}'") from error
    path = Path(where)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UsageError(f"policy.target: no file {where}")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look a class's module up here.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
