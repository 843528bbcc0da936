"""Pretraining on 2-D questions: pictures of a real suite, weights that a policy starts from."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from sfbench_policies.openvla_oft.config import SmallConfig
from sfbench_policies.openvla_oft.reader import make_micro_reader
from sfbench_policies.pi0.reader import make_micro_reader as make_pi0_reader

from sfbench.cli.main import run
from sfbench.demos.dataset import open_dataset
from sfbench.errors import RunFolderError, UsageError
from sfbench.registry import SuiteRecipe, suites
from sfbench.training.metrics import read_metrics
from sfbench.training.reporting import Silent
from sfbench.training.run import train
from sfbench.training.settings import OptimiserConfig
from sfbench.training.setup import start_weights
from sfbench.training.vlm import pretraining
from sfbench.training.vlm.pictures import Picture, render
from sfbench.training.vlm.pretraining import VlmSettings, VlmTraining, held_out, stored_scores
from sfbench.training.vlm.questions import ANSWERS, WORDS
from sfbench.training.vlm.reader import Reader, ReaderRequest
from tests.training.demos import INSTRUCTIONS
from tests.training.runs import losses, request

STILL = OptimiserConfig(lr=1e-30, weight_decay=0.0)
"""Changes nothing that float32 can tell."""
COLOURS = ((200, 25, 25), (30, 60, 190), (40, 150, 50))


_MIDDLE_OFF = float(
    np.mean([np.hypot(row - 1.5, column - 1.5) / 4 for row in range(4) for column in range(4)])
)


def picture(seed: int) -> Picture:
    """Three things of different colours on a grey table, each somewhere else every time."""
    random = np.random.default_rng(seed)
    image = np.full((64, 64, 3), 128, np.uint8)
    seen = np.zeros((64, 64), np.int32)
    for index, colour in enumerate(COLOURS, start=1):
        row, column = (int(value) for value in random.integers(0, 4, 2) * 16)
        image[row : row + 16, column : column + 16] = colour
        seen[row : row + 16, column : column + 16] = index
    names = ("table", "cup", "pot", "bell")
    return Picture({"top": image}, {"top": seen}, names, f"drawn/{seed}")


@pytest.mark.parametrize(("count", "each"), [(200, 8), (1000, 8), (20, 1), (2, 1), (6, 3)])
def test_whole_episodes_are_held_out(count: int, each: int) -> None:
    """Moments of an episode are near copies: a picture's neighbours are no test."""
    pictures = [replace(picture(index), episode=f"task/{index // each}") for index in range(count)]
    test, train = held_out(pictures, 0)
    assert not {one.episode for one in test} & {one.episode for one in train}
    assert len(test) + len(train) == count
    # A tenth, and no more than what is left of an episode.
    assert max(count // 10, 1) <= len(test) < max(count // 10, 1) + each
    again, other = (held_out(pictures, seed)[0] for seed in (0, 1))
    assert again == test
    assert count < 20 or other != test


def test_one_episode_cannot_be_held_out() -> None:
    with pytest.raises(UsageError, match=r"all of one episode.*scenes=2 or more"):
        held_out([replace(picture(index), episode="task/0") for index in range(8)], 0)


@pytest.mark.parametrize(("count", "episodes"), [(2, 2), (6, 2), (17, 3)])
def test_pictures_know_their_episode(count: int, episodes: int) -> None:
    settings = suites()["robotwin_clean"].config_class()(camera_width=32, camera_height=32)
    suite = SuiteRecipe("robotwin_clean", settings).build()
    found = render(suite, ["click_bell"], ["head_camera"], count, lambda _text: None)
    assert len(found) == count
    names = [one.episode for one in found]
    assert len(set(names)) >= episodes
    assert names[0] == "click_bell/0"
    assert names == sorted(names, key=lambda name: int(name.split("/")[1]))


def reader_request() -> ReaderRequest:
    return ReaderRequest(
        config=SmallConfig(),
        cameras=("top",),
        texts=(*WORDS, *ANSWERS, "table cup pot bell", *INSTRUCTIONS),
        seed=0,
    )


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("vlm") / "start"
    settings = VlmSettings(steps=450, batch_size=24, lr=2e-3)
    pictures = [picture(seed) for seed in range(400)]
    training = VlmTraining(
        make_micro_reader(reader_request()), pictures, ("top",), settings, torch.device("cpu")
    )
    untrained = training.test()
    assert untrained.places_iou < 0.3
    scores = training.run(out, Silent(), {"suite": "drawn"})
    # Where things are is learned, on pictures that were not trained on.
    assert scores.places_iou > untrained.places_iou + 0.3
    # Whoever always points at the middle is off by this much.
    assert scores.points_off < 0.85 * _MIDDLE_OFF
    return out


def test_the_folder(start: Path) -> None:
    card = yaml.safe_load((start / "vlm.yaml").read_text())
    assert card["scores"]["places_iou"] > 0.3
    assert len((start / "metrics.jsonl").read_text().splitlines()) == 450
    assert {path.name for path in start.iterdir()} == {
        "model.safetensors",
        "word_tokenizer.json",
        "vlm.yaml",
        "metrics.jsonl",
    }


class Ending(Silent):
    """Ends a run after a step, as a signal would."""

    def __init__(self, last: int) -> None:
        self._last = last

    def on_step(self, step: int, loss: float) -> None:
        if step == self._last:
            raise KeyboardInterrupt


@pytest.mark.parametrize("make_reader", [make_micro_reader, make_pi0_reader])
def test_it_goes_on_where_it_was_ended(
    make_reader: Callable[[ReaderRequest], Reader], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit; and not with other settings."""
    monkeypatch.setattr(pretraining, "_RESUME_EVERY", 2)

    def training() -> VlmTraining:
        pictures = [picture(seed) for seed in range(20)]
        settings = VlmSettings(steps=6, batch_size=8)
        reader = make_reader(reader_request())
        return VlmTraining(reader, pictures, ("top",), settings, torch.device("cpu"))

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    training().run(whole, Silent(), {"lr": 1e-3})
    for last in (1, 5):
        with pytest.raises(KeyboardInterrupt):
            training().run(parts, Ending(last), {"lr": 1e-3})
        assert stored_scores(parts, {"lr": 1e-3}) is None
    with pytest.raises(RunFolderError, match=r"lr: 0\.001 -> 1\.0"):
        training().run(parts, Silent(), {"lr": 1.0})
    scores = training().run(parts, Silent(), {"lr": 1e-3})
    assert stored_scores(parts, {"lr": 1e-3}) == scores == stored_scores(whole, {"lr": 1e-3})
    with pytest.raises(RunFolderError, match=r"lr: 0\.001 -> 1\.0"):
        stored_scores(parts, {"lr": 1.0})
    for name in ("model.safetensors", "vlm.yaml"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes()
    assert [line["step"] for line in read_metrics(parts)] == [1, 2, 3, 4, 5, 6]
    assert not (parts / "checkpoints").exists()


def test_a_policy_starts_from_it(start: Path, dataset: Path, tmp_path: Path) -> None:
    """Vision and language are the pretrained ones; heads are the fresh ones of the seed."""
    runs = {"fresh": None, "started": str(start)}
    for name, source in runs.items():
        train(request(dataset, tmp_path / name, steps=1, start=source, optimiser=STILL))
    fresh, started = (
        load_file(tmp_path / name / "checkpoints" / "1" / "model.safetensors") for name in runs
    )
    pretrained = load_file(start / "model.safetensors")
    assert all(torch.equal(started[name], value) for name, value in pretrained.items())
    heads = fresh.keys() - pretrained.keys()
    assert any(name.startswith("action_head.") for name in heads)
    # Zeros became 1e-30 one way or the other.
    assert all(torch.allclose(fresh[one], started[one], rtol=0, atol=1e-29) for one in heads)
    key = "projector.fc1.weight"
    assert not torch.equal(fresh[key], started[key])
    papers = [
        yaml.safe_load((tmp_path / name / "checkpoints" / "1" / "recipe.yaml").read_text())
        for name in runs
    ]
    assert [one["start"] for one in papers] == list(runs.values())
    assert papers[0]["recipe"] != papers[1]["recipe"]
    # The weights count, wherever they lie.
    shutil.copytree(start, tmp_path / "copy")
    assert papers[1]["start_weights"] == start_weights(str(tmp_path / "copy"))
    (tmp_path / "copy" / "model.safetensors").write_bytes(b"other")
    assert papers[1]["start_weights"] != start_weights(str(tmp_path / "copy"))
    assert losses(tmp_path / "fresh") != losses(tmp_path / "started")


def test_pi0_starts_from_its_own(dataset: Path, tmp_path: Path) -> None:
    reader = make_pi0_reader(reader_request())
    training = VlmTraining(
        reader,
        [picture(seed) for seed in range(20)],
        ("top",),
        VlmSettings(steps=3, batch_size=8),
        torch.device("cpu"),
    )
    start = tmp_path / "start"
    training.run(start, Silent(), {})
    assert len((start / "metrics.jsonl").read_text().splitlines()) == 3
    pretrained = load_file(start / "model.safetensors")
    train(
        request(dataset, tmp_path / "run", "pi0_micro", steps=1, start=str(start), optimiser=STILL)
    )
    found = load_file(tmp_path / "run" / "checkpoints" / "1" / "model.safetensors")
    assert len(pretrained) > 40
    for name, value in pretrained.items():
        assert torch.allclose(found[name], value, rtol=0, atol=1e-29)
    assert not any("action" in name or ".gemma_expert." in name for name in pretrained)


def test_pi0_reads_what_is_last() -> None:
    """The summary stands at each text's own last token, whatever its neighbours' length."""
    reader = make_pi0_reader(reader_request())
    pixels = torch.rand((2, 1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    texts = ("where is the cup ?", "how many pot are there ?")
    with torch.no_grad():
        both_views, both = reader.read(pixels, texts)
        for row, text in enumerate(texts):
            views, alone = reader.read(pixels[row : row + 1], [text])
            torch.testing.assert_close(alone[0], both[row], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(views[0], both_views[row], atol=1e-5, rtol=1e-5)


def test_an_unknown_word_is_named(start: Path, dataset: Path, tmp_path: Path) -> None:
    words = (start / "word_tokenizer.json").read_text().replace('"puck",\n', "")
    poorer = tmp_path / "poorer"
    poorer.mkdir()
    (poorer / "model.safetensors").write_bytes((start / "model.safetensors").read_bytes())
    (poorer / "word_tokenizer.json").write_text(words)
    assert any("puck" in one.instruction for one in open_dataset(dataset).episodes)
    with pytest.raises(UsageError, match="word list lacks puck"):
        train(request(dataset, tmp_path / "run", start=str(poorer)))


def test_weights_of_another_size(start: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="do not fit this policy"):
        train(request(dataset, tmp_path / "run", "openvla_oft_mini", start=str(start)))


def test_the_command_on_a_real_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "start"
    arguments = [
        *("train", "vlm", "policy=openvla_oft_micro", "suite=robotwin", "tasks=[click_bell]"),
        *("suite.camera_width=64", "suite.camera_height=64", "cameras=[head_camera]"),
        *("scenes=6", "steps=2", "batch_size=4", "device=cpu", f"out={out}"),
    ]
    assert run(arguments) == 0
    assert "IoU" in capsys.readouterr().out
    card = yaml.safe_load((out / "vlm.yaml").read_text())
    assert (card["scenes"], card["suite"]["camera_width"]) == (6, 64)
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert run(arguments) == 0
    assert (out / "model.safetensors").stat().st_mtime_ns == before, "it is complete"
    assert run([word.replace("steps=2", "steps=3") for word in arguments]) == 2
    assert "steps: 2 -> 3" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    assert run([*arguments[:-1], f"out={tmp_path / 'other'}"]) == 2
    assert "exists; name another folder" in capsys.readouterr().err
