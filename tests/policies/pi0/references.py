"""Importing the parts of the reference code that are compared with; run outside this project."""

import importlib
import sys
import types
from pathlib import Path


def package(checkout: Path, name: str, **contents: object) -> None:
    """A package whose own code is not run: only the submodules asked for are imported."""
    module = types.ModuleType(name)
    module.__path__ = [str(checkout.joinpath("src", *name.split(".")))]
    module.__dict__.update(contents)
    sys.modules[name] = module


class _NotUsed:
    """Stands for classes of the reference that configure training or robots."""

    @staticmethod
    def register_subclass(_name: str) -> object:
        return lambda config_class: config_class

    def __post_init__(self) -> None:
        pass


def import_lerobot(checkout: Path) -> types.ModuleType:
    """lerobot's modelling file alone: its packages import torchvision and data set code."""
    for name in ("", ".policies", ".policies.pi0", ".policies.common", ".policies.rtc", ".utils"):
        package(checkout, f"lerobot{name}")
    package(checkout, "lerobot.configs")
    features = importlib.import_module("lerobot.configs.types")
    names = ("FeatureType", "NormalizationMode", "PolicyFeature", "PipelineFeatureType")
    kinds = {name: getattr(features, name) for name in names}
    package(checkout, "lerobot.configs", PreTrainedConfig=_NotUsed, **kinds)
    package(checkout, "lerobot.processor")
    schedule = "CosineDecayWithWarmupSchedulerConfig"
    package(checkout, "lerobot.optim", AdamWConfig=_NotUsed, **{schedule: _NotUsed})
    package(checkout, "lerobot.policies.pretrained", PreTrainedPolicy=_NotUsed, T=None)
    package(checkout, "lerobot.policies.rtc.modeling_rtc", RTCProcessor=_NotUsed)
    package(checkout, "lerobot.policies.rtc.configuration_rtc", RTCConfig=_NotUsed)
    return importlib.import_module("lerobot.policies.pi0.modeling_pi0")


def import_lerobot_processing(checkout: Path) -> types.SimpleNamespace:
    """lerobot's normalisation and relative actions, without its pipeline classes."""
    import_lerobot(checkout)
    pipeline = {"ProcessorStep": object, "PolicyProcessorPipeline": object}
    registry = {"ProcessorStepRegistry": _Registry, "RobotObservation": dict}
    package(checkout, "lerobot.processor.pipeline", **pipeline, **registry)
    names = ("MapDeltaActionToRobotActionStep", "MapTensorToDeltaActionDictStep")
    package(checkout, "lerobot.processor.delta_action_processor", **dict.fromkeys(names, _NotUsed))
    return types.SimpleNamespace(
        normalise=importlib.import_module("lerobot.processor.normalize_processor"),
        relative=importlib.import_module("lerobot.processor.relative_action_processor"),
        images=importlib.import_module("lerobot.policies.common.vla_utils"),
        kinds=importlib.import_module("lerobot.configs.types"),
    )


class _Registry:
    @staticmethod
    def register(name: str) -> object:
        return lambda step_class: step_class
