"""Demonstrations of other projects: what they do not say has to be said, before the first step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sfbench_toy.suite import ToyConfig, env_spec

from sfbench.cli.main import run
from sfbench.cli.train import make_request
from sfbench.contracts import Orientation
from sfbench.demos.convert import save
from sfbench.demos.lerobot.foreign_images import ForeignImages
from sfbench.demos.memory import MemorySource
from sfbench.demos.spec import spec_of
from sfbench.errors import RunFolderError, SpecMismatchError, UsageError
from sfbench.registry import SuiteRecipe, TeacherRecipe, find_teacher
from sfbench.spatial.running import make_forcing
from sfbench.spatial.settings import AlignSettings
from sfbench.training.request import TrainRequest
from sfbench.training.run import train
from sfbench.training.setup import dataset_of
from tests.training.demos import IMAGE_PX, episode, make_dataset
from tests.training.runs import losses, request

EPISODES = 4
SUITE = SuiteRecipe("toy", ToyConfig(image_px=IMAGE_PX))
SAID = ForeignImages("mirrored", ["image:top"])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("own") / "set", EPISODES)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same demonstrations as others publish them: mirrored, under another name."""
    folder = tmp_path_factory.mktemp("foreign") / "set"
    spec = spec_of("toy", env_spec(ToyConfig(image_px=IMAGE_PX)), ["top"])
    spec = replace(spec, cameras=(replace(spec.cameras[0], name="image"),))
    made = [episode(index, 14 + 3 * index, 0) for index in range(EPISODES)]
    turned = [replace(one, images={"image": one.images["top"][:, :, ::-1]}) for one in made]
    save(MemorySource(spec, turned), folder)
    (folder / "meta" / "sfbench.json").unlink()
    return folder


def asked(dataset: Path, out: Path, **changes: Any) -> TrainRequest:
    return request(dataset, out, **{"suite": SUITE, "steps": 3, **changes})


def test_as_it_was_said_it_is_the_same_training(own: Path, foreign: Path, tmp_path: Path) -> None:
    train(asked(own, tmp_path / "own"))
    train(asked(foreign, tmp_path / "foreign", foreign=SAID))
    train(asked(foreign, tmp_path / "wrong", foreign=replace(SAID, orientation="upright")))
    assert losses(tmp_path / "foreign") == losses(tmp_path / "own")
    assert losses(tmp_path / "wrong") != losses(tmp_path / "own")
    with pytest.raises(RunFolderError, match=r"foreign\.orientation: 'mirrored' -> 'upright'"):
        train(asked(foreign, tmp_path / "foreign", foreign=ForeignImages("upright", SAID.cameras)))


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (ForeignImages(), "does not say how its images lie. Look at one, and type foreign.orient"),
        (
            ForeignImages("miror"),
            "foreign.orientation 'miror'. Did you mean 'mirr",
        ),
        (ForeignImages("upright", ["imag:top"]), "foreign.cameras 'imag'. Did you mean 'image'"),
        (ForeignImages("upright", ["image"]), "foreign.cameras=[image]: allowed are"),
        (ForeignImages("upright"), "camera 'image': the suite lacks it; it has top, wide"),
        (ForeignImages("upright"), "'foreign.cameras=[NAME:NEW_NAME,...]'"),
    ],
)
def test_what_is_not_said_is_asked_for(
    foreign: Path, tmp_path: Path, said: ForeignImages, text: str
) -> None:
    with pytest.raises(UsageError) as found:
        train(asked(foreign, tmp_path / "run", foreign=said))
    assert text in str(found.value)
    assert not (tmp_path / "run").exists()


def test_a_policy_with_cameras_of_its_own_says_how_to_name_them(
    foreign: Path, tmp_path: Path
) -> None:
    said = ForeignImages("mirrored")
    with pytest.raises(SpecMismatchError, match=r"camera 'agentview'[\s\S]*foreign\.cameras="):
        train(asked(foreign, tmp_path / "run", policy="pi0", start="x", foreign=said))


def test_a_dataset_that_says_so_itself_is_not_overruled(own: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"says itself.*leave foreign\.orientation"):
        train(asked(own, tmp_path / "run", foreign=ForeignImages("upright")))


def test_the_keys(foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["policy=openvla_oft_micro", f"dataset={foreign}", "suite=toy", f"out={tmp_path / 'r'}"]
    said = ["foreign.orientation=mirrored", "foreign.cameras=image:top"]
    made = make_request([*words, *said])
    assert made.settings.foreign == SAID
    camera = dataset_of(made).spec.camera("top")
    assert camera.orientation is Orientation.MIRRORED
    assert run(["train", *words]) == 2
    assert "type foreign.orientation=upright" in capsys.readouterr().err
    align = TeacherRecipe("random", find_teacher("random").config_class()())
    assert make_forcing(AlignSettings(), align, made).name == "align"


def test_a_suite_with_other_conventions_is_told_before_the_first_step(tmp_path: Path) -> None:
    """As where demonstrations were collected with a setting that `train` was not given."""
    env = env_spec(ToyConfig(image_px=IMAGE_PX))
    slower = replace(env, action=replace(env.action, hz=10.0))
    spec = spec_of("toy", slower, ["top"])
    save(MemorySource(spec, [episode(index, 12, 0) for index in range(2)]), tmp_path / "set")
    with pytest.raises(SpecMismatchError) as found:
        train(asked(tmp_path / "set", tmp_path / "run"))
    text = str(found.value)
    assert "could not be evaluated in suite toy" in text
    assert "action.hz: suite has 20, policy wants 10" in text
    assert "suite.KEY=..." in text
    assert not (tmp_path / "run").exists()
    train(asked(tmp_path / "set", tmp_path / "run", suite=None, steps=1))


def test_other_names_for_the_same_are_no_difference(tmp_path: Path) -> None:
    env = env_spec(ToyConfig(image_px=IMAGE_PX))
    (part,) = env.action.parts
    spec = spec_of("toy", env, ["top"])
    spec = replace(spec, action=replace(env.action, parts=(replace(part, name="push"),)))
    save(MemorySource(spec, [episode(index, 12, 0) for index in range(2)]), tmp_path / "set")
    train(asked(tmp_path / "set", tmp_path / "run", steps=1))
