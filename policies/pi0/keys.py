"""Which published weight goes where: the table between published key names and our parameters.

Published names are those of LeRobot's and openpi's PyTorch π0; LeRobot puts `model.` before each.
Checkpoints of our own use LeRobot's names, so that they do not depend on how a release of
transformers calls its modules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from sfbench.errors import UsageError

PREFIX = "model."
_VLM = "paligemma_with_expert.paligemma"
_EXPERT = "paligemma_with_expert.gemma_expert"
_TOWER = "core.model.vlm.vision_tower."
# Our prefix: the published one. The first that fits counts.
_PREFIXES = (
    # transformers 5.5 still has the inner module that later releases took out.
    (f"{_TOWER}vision_model.", f"{_VLM}.model.vision_tower.vision_model."),
    (_TOWER, f"{_VLM}.model.vision_tower.vision_model."),
    ("core.model.vlm.", f"{_VLM}.model."),
    ("core.model.dit.", f"{_EXPERT}.model."),
    ("core.embed_action_time.", ""),
    ("core.", ""),
)
_EMBEDDING = f"{_VLM}.model.language_model.embed_tokens.weight"
_TIED = f"{_VLM}.lm_head.weight"
_UNUSED = f"{_EXPERT}.lm_head.weight"


@dataclass(frozen=True, slots=True)
class KeyTable:
    """The mapping for one model; names are without LeRobot's `model.`.

    Attributes:
        targets: published key to our parameter.
        tied: other published keys for some of these; one of the two is enough, and where a file
            has both, the reference lets this one win.
        unused: published keys that the model has no use for; they may be present or not.
    """

    targets: Mapping[str, str]
    tied: Mapping[str, str]
    unused: frozenset[str]

    def check(self, shapes: Mapping[str, Sequence[int]], model: nn.Module, where: str) -> None:
        """Compare published keys and shapes with what the model needs.

        Raises:
            UsageError: with every missing key, extra key and wrong shape.
        """
        own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        known = set(self.targets) | set(self.tied) | self.unused
        have = set(shapes) | {self.tied[key] for key in shapes if key in self.tied}
        problems = [f"missing: {key}" for key in self.targets if key not in have]
        problems += [f"extra: {key}" for key in shapes if key not in known]
        for key, shape in shapes.items():
            name = self.targets.get(self.tied.get(key, key))
            if name is not None and tuple(shape) != own[name]:
                problems.append(f"shape of {key}: got {tuple(shape)}, needs {own[name]}")
        if problems:
            raise UsageError(
                f"{where} does not fit the model ({len(problems)} problems):\n  "
                + "\n  ".join(problems)
            )

    def to_own(self, key: str, present: Mapping[str, object]) -> str | None:
        """Our parameter for a published key, given all keys of a checkpoint; None to skip it."""
        if key in self.tied:
            return self.targets[self.tied[key]]
        overruled = any(target == key and other in present for other, target in self.tied.items())
        return None if overruled else self.targets.get(key)

    def to_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All our parameters under published names, LeRobot's prefix included."""
        return {f"{PREFIX}{key}": state[name] for key, name in self.targets.items()}


def build_key_table(model: nn.Module) -> KeyTable:
    """The table of a model (on any device, `meta` included)."""
    targets = {_published(name): name for name in model.state_dict()}
    assert len(targets) == len(model.state_dict()), "two parameters with one published name"
    return KeyTable(targets, {_TIED: _EMBEDDING}, frozenset({_UNUSED}))


def without_prefix(keys: Sequence[str]) -> dict[str, str]:
    """Key in the file to key in the table; all or none of a file's keys have the prefix."""
    if all(key.startswith(PREFIX) for key in keys):
        return {key: key.removeprefix(PREFIX) for key in keys}
    return {key: key for key in keys}


def _published(name: str) -> str:
    for ours, theirs in _PREFIXES:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise AssertionError(f"no published name for {name}")
