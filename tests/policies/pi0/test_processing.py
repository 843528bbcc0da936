"""Images, states, actions and prompts against openpi and LeRobot, and the known pitfalls."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sfbench_policies.common import libero
from sfbench_policies.common.orientation import turn
from sfbench_policies.pi0.processing.prompt import load_tokenizer, word_tokenizer
from sfbench_policies.pi0.processing.relative import relative_mask, to_absolute, to_relative
from sfbench_policies.pi0.processing.resize import Resize, to_image, to_pixels
from sfbench_policies.pi0.processing.scaling import Mode, VectorStatistics
from tokenizers import Tokenizer, models

from sfbench.contracts import Orientation
from sfbench.errors import MissingError, PolicyError, UnknownNameError, UsageError

from . import tiny

FIXTURES = Path(__file__).parent / "fixtures"
OPENPI = np.load(FIXTURES / "processing_openpi.npz")
LEROBOT = np.load(FIXTURES / "processing_lerobot.npz")


def action_statistics(mode: Mode) -> VectorStatistics:
    names = {"min": tiny.QUANTILES["q01"], "max": tiny.QUANTILES["q99"]}
    known = tiny.STATISTICS["action"] | tiny.QUANTILES | names
    return VectorStatistics.from_json({"mode": mode.value, **known}, "test")


@pytest.mark.parametrize("name", tiny.RESIZED)
def test_pil_resize_is_openpis_to_the_grey_level(name: str) -> None:
    height, width, side = tiny.RESIZED[name]
    pixels = to_pixels(tiny.scene(height, width, 5), Resize.PIL_BILINEAR, side)
    np.testing.assert_array_equal(to_image(pixels), OPENPI[f"pil_{name}"])


@pytest.mark.parametrize("name", tiny.RESIZED)
def test_torch_resize_is_lerobots(name: str) -> None:
    height, width, side = tiny.RESIZED[name]
    pixels = to_pixels(tiny.scene(height, width, 5), Resize.TORCH_BILINEAR, side)
    np.testing.assert_allclose(pixels, LEROBOT[f"torch_{name}"], rtol=0, atol=2e-6)


def test_the_two_filters_differ() -> None:
    """Or naming the filter would mean nothing. 255 grey levels are 2 units of a pixel."""
    image = tiny.scene(*tiny.RESIZED["smaller"][:2], 5)
    one, two = (to_pixels(image, resize, 56) for resize in list(Resize)[:2])
    assert np.abs(one - two).max() * 127.5 > 10


@pytest.mark.parametrize("resize", list(Resize)[:2])
def test_bars_are_black_and_proportions_kept(resize: Resize) -> None:
    pixels = to_pixels(np.full((30, 60, 3), 200, np.uint8), resize, 48)
    assert (pixels[:, :12] == -1).all()
    assert (pixels[:, 36:] == -1).all()
    np.testing.assert_allclose(pixels[:, 12:36], 200 / 127.5 - 1, atol=1e-6)


def test_pixels_and_back() -> None:
    image = tiny.scene(16, 16, 1)
    for resize in Resize:
        pixels = to_pixels(image, resize, 16)
        assert pixels.dtype == np.float32
        assert pixels.min() >= -1
        assert pixels.max() <= 1
        np.testing.assert_array_equal(to_image(pixels), image)


@pytest.mark.parametrize("mode", [Mode.MEAN_STD, Mode.QUANTILES, Mode.MIN_MAX])
def test_scaling_is_lerobots(mode: Mode) -> None:
    chunk, statistics = tiny.network_output()[:, :7], action_statistics(mode)
    np.testing.assert_allclose(statistics.unscale(chunk), LEROBOT[f"action_{mode}"], atol=1e-6)
    np.testing.assert_allclose(
        statistics.scale(chunk), LEROBOT[f"target_{mode}"], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(statistics.scale(statistics.unscale(chunk)), chunk, atol=1e-5)


def test_nothing_is_clipped() -> None:
    """π0's numbers leave [-1, 1]; clipping is OpenVLA's."""
    statistics = action_statistics(Mode.QUANTILES)
    assert np.abs(statistics.scale(np.full(7, 3.0))).max() > 3


def test_a_number_that_never_changes_divides_by_something() -> None:
    rows = np.ones((4, 2))
    rows[:, 1] = [0, 1, 2, 3]
    for mode in Mode:
        scaled = VectorStatistics.from_data(rows, mode).scale(rows)
        assert np.isfinite(scaled).all()


def test_statistics_survive_json() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 3))
    for mode in Mode:
        mine = VectorStatistics.from_data(rows, mode)
        again = VectorStatistics.from_json(mine.to_json(), "test")
        np.testing.assert_array_equal(mine.scale(rows), again.scale(rows))
        assert again.mode is mode


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"mode": "mean_sd"}, "Did you mean 'mean_std'"),
        ({"mode": "mean_std", "mean": [0.0]}, "lacks std"),
        ({"mode": "mean_std", "mean": [0.0, 1.0], "std": [1.0]}, "two equal lengths"),
        ({"mode": "mean_std", "mean": [float("nan")], "std": [1.0]}, "not finite"),
    ],
)
def test_unusable_statistics(data: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        VectorStatistics.from_json(data, "test")


MASK = (True,) * 6 + (False,)


def test_differences_from_the_state() -> None:
    chunk = tiny.network_output()[None, :, :7]
    state = tiny.libero_observation()["state"][None]
    absolute = to_absolute(chunk, state, MASK)
    np.testing.assert_allclose(absolute, LEROBOT["absolute"], atol=1e-6)
    np.testing.assert_allclose(to_relative(absolute, state, MASK), chunk, atol=1e-12)


def test_the_gripper_stays_absolute() -> None:
    """A gripper written as a difference never closes; its number in the state is another one."""
    mask = relative_mask(["eef_pos", "eef_rot"], libero.ACTION, libero.STATE)
    assert mask == MASK
    with pytest.raises(UsageError, match="the state has no gripper there"):
        relative_mask(["gripper"], libero.ACTION, libero.STATE)
    with pytest.raises(UnknownNameError, match="Did you mean 'eef_pos'"):
        relative_mask(["eef_poss"], libero.ACTION, libero.STATE)


def test_libero_images_are_turned_by_180_degrees() -> None:
    """A mirrored image is the best known way to score 0."""
    image = tiny.scene(8, 8, 0)
    turned = turn(image, Orientation.BOTTOM_UP, libero.ORIENTATION)
    np.testing.assert_array_equal(turned, image[::-1, ::-1])
    np.testing.assert_array_equal(
        turn(
            turn(image, Orientation.UPRIGHT, libero.ORIENTATION),
            libero.ORIENTATION,
            Orientation.UPRIGHT,
        ),
        image,
    )


def test_prompts_end_in_one_newline() -> None:
    """The newline is where the answer starts; leaving it out is another prompt."""
    tokenizer = word_tokenizer(["Pick up the red ball"], limit=12, vocab=64)
    ids = tokenizer.encode("pick up the red ball")
    assert ids == tokenizer.encode("Pick up the red ball\n")
    assert len(ids) == 7
    assert ids[0] == 2
    assert ids[-1] == min(ids[1:]), "the newline is the first word in the alphabet"
    assert tokenizer.encode("pick up the blue ball")[4] == 3


def test_too_long_an_instruction_is_refused() -> None:
    tokenizer = word_tokenizer(["a b c"], limit=4, vocab=64)
    assert len(tokenizer.encode("a b")) == 4
    with pytest.raises(PolicyError, match="5 tokens, allowed 4"):
        tokenizer.encode("a b c")


def test_tokenizer_files(tmp_path: Path) -> None:
    mine = word_tokenizer(["lift the pot, both arms"], limit=12, vocab=64)
    mine.save(tmp_path)
    again = load_tokenizer(tmp_path, limit=12, vocab=64)
    assert again.encode("lift the pot") == mine.encode("lift the pot")
    with pytest.raises(MissingError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path / "elsewhere", 12, 64)
    with pytest.raises(UsageError, match="ids below 6"):
        load_tokenizer(tmp_path, limit=12, vocab=6)
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UsageError, match="<bos>"):
        load_tokenizer(tmp_path, limit=12, vocab=64)
    with pytest.raises(UsageError, match="room for 1"):
        word_tokenizer(["two words"], limit=12, vocab=5)


def test_a_token_beyond_the_models_rows_is_refused(tmp_path: Path) -> None:
    """PaliGemma's file has `<image>`, one past the embedding; nobody may smuggle it in."""
    ids = {"<unk>": 0, "<pad>": 1, "<bos>": 2, "go": 3}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.add_special_tokens(["<image>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    beyond = tokenizer.token_to_id("<image>")
    loaded = load_tokenizer(tmp_path, limit=12, vocab=beyond)
    assert max(loaded.encode("go")) < beyond
    with pytest.raises(PolicyError, match="token the model lacks"):
        loaded.encode("<image>")


def test_float32_is_enough() -> None:
    """States reach the network as float32, as in both references."""
    statistics = VectorStatistics.from_json(
        {"mode": "mean_std", **tiny.STATISTICS["observation.state"]}, "test"
    )
    mine = statistics.scale(tiny.libero_observation()["state"]).astype(np.float32)
    np.testing.assert_allclose(mine, LEROBOT["state_mean_std"], rtol=2e-6)
    assert torch.from_numpy(mine).dtype is torch.float32
