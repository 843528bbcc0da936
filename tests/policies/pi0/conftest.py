"""A LIBERO-like suite without a simulator, and a published folder of a small network."""

from dataclasses import replace
from pathlib import Path

import pytest
from sfbench_policies.common import libero
from sfbench_policies.pi0.presets import PI0_MICRO, PublishedSizes

from sfbench.contracts import CameraSpec, EnvSpec, Orientation

from . import tiny
from .published import lively_model, write_published

SIZES = replace(PI0_MICRO, image_px=tiny.MODEL_PX, prompt_tokens=48)
KNOWN = PublishedSizes(
    SIZES, {"test_language": PI0_MICRO.language, "test_expert": PI0_MICRO.expert}
)


@pytest.fixture(scope="session")
def libero_env() -> EnvSpec:
    """As LIBERO with robosuite's own image order."""
    cameras = (libero.SCENE_CAMERA, libero.WRIST_CAMERA)
    return EnvSpec(
        action=libero.ACTION,
        state=libero.STATE,
        cameras=tuple(
            CameraSpec(
                name=name,
                height=tiny.LIBERO_PX,
                width=tiny.LIBERO_PX,
                orientation=Orientation.BOTTOM_UP,
            )
            for name in cameras
        ),
        video_camera=libero.SCENE_CAMERA,
    )


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only; `copy_of` makes one to spoil."""
    return write_published(tmp_path_factory.mktemp("published") / "libero", lively_model(SIZES))
