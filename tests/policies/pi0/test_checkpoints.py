"""Folders in LeRobot's layout and our own: read, written, and refused where something is wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from sfbench_policies.pi0.bundle import Bundle, TrainingData, load_bundle
from sfbench_policies.pi0.checkpoint import base_bundle, choose_cameras, published_bundle
from sfbench_policies.pi0.config import Pi0Config, SmallConfig
from sfbench_policies.pi0.factory import make_pi0, make_pi0_micro
from sfbench_policies.pi0.loading import load_model
from sfbench_policies.pi0.published import read_published

from sfbench.contracts import EnvSpec, PolicyContext
from sfbench.errors import MissingError, UnknownNameError, UsageError
from sfbench.registry import SuiteRecipe, suites

from .conftest import KNOWN, SIZES
from .published import EMBEDDING, TIED, UNUSED, lively_model, write_published

CONFIG = Pi0Config(dtype="float32", device="cpu")


def load(folder: Path, env: EnvSpec, config: Pi0Config = CONFIG) -> Bundle:
    return published_bundle(folder, config, env, KNOWN)


def weights(bundle: Bundle) -> dict[str, torch.Tensor]:
    return dict(bundle.model.state_dict())


def assert_equal_weights(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


@pytest.fixture
def copy(published_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published_folder, tmp_path / "copy"))


def edit_json(file: Path, change: Callable[[dict], None]) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_published_folder(published_folder: Path, libero_env: EnvSpec) -> None:
    bundle = load(published_folder, libero_env)
    assert_equal_weights(weights(bundle), dict(lively_model(SIZES).state_dict()))
    assert bundle.processor.interface.cameras == ("agentview", "robot0_eye_in_hand")
    assert bundle.processor.config.relative_parts == ()
    files = read_published(published_folder, KNOWN)
    assert files.views == ("image", "image2", "empty_camera_0")
    assert files.architecture == SIZES


def test_shards_and_openpis_names(copy: Path, libero_env: EnvSpec) -> None:
    """Sharded, without LeRobot's prefix, and the embedding under its own name."""
    tensors = load_file(copy / "model.safetensors")
    tensors[EMBEDDING] = tensors.pop(TIED)
    del tensors[UNUSED]
    names = sorted(tensors)
    shards = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, keys in shards.items():
        save_file({key.removeprefix("model."): tensors[key] for key in keys}, copy / file)
    index = {key.removeprefix("model."): file for file, keys in shards.items() for key in keys}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (copy / "model.safetensors").unlink()
    assert_equal_weights(weights(load(copy, libero_env)), dict(lively_model(SIZES).state_dict()))
    (copy / "two.safetensors").unlink()
    with pytest.raises(MissingError, match=r"two\.safetensors"):
        load(copy, libero_env)


def test_where_both_names_are_there_the_output_layer_wins(copy: Path, libero_env: EnvSpec) -> None:
    """As LeRobot loads it."""
    edit_weights(copy, lambda tensors: tensors.update({EMBEDDING: torch.zeros_like(tensors[TIED])}))
    assert_equal_weights(weights(load(copy, libero_env)), dict(lively_model(SIZES).state_dict()))


def test_every_wrong_key_is_named(copy: Path, libero_env: EnvSpec) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["model.state_proj.bias"]
        del tensors["model.action_in_proj.weight"]
        tensors["model.time_mlp_in.weight"] = torch.zeros(2)
        tensors["model.action_out_proj.bias"] = torch.zeros(3)

    edit_weights(copy, spoil)
    with pytest.raises(UsageError) as caught:
        load(copy, libero_env)
    text = str(caught.value)
    for line in (
        "4 problems",
        "missing: state_proj.bias",
        "missing: action_in_proj.weight",
        "extra: time_mlp_in.weight",
        "shape of action_out_proj.bias: got (3,), needs (32,)",
    ):
        assert line in text


def test_a_damaged_file(copy: Path, libero_env: EnvSpec) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UsageError, match="damaged or cut short"):
        load(copy, libero_env)


def test_no_statistics_are_no_identity(copy: Path, libero_env: EnvSpec) -> None:
    """LeRobot lets numbers pass unscaled then, which scores 0 without a word."""
    (copy / "policy_postprocessor.json").unlink()
    with pytest.raises(UsageError, match="no statistics of action"):
        load(copy, libero_env)


def test_a_missing_statistics_file(copy: Path, libero_env: EnvSpec) -> None:
    (copy / "policy_preprocessor_step_4_normalizer_processor.safetensors").unlink()
    with pytest.raises(MissingError, match="statistics of its training data"):
        load(copy, libero_env)


def test_an_unknown_normalisation(copy: Path, libero_env: EnvSpec) -> None:
    def change(data: dict) -> None:
        data["steps"][4]["config"]["norm_map"]["STATE"] = "QUANTILE10"

    edit_json(copy / "policy_preprocessor.json", change)
    with pytest.raises(UnknownNameError, match="QUANTILE10"):
        load(copy, libero_env)


def test_another_policy_type(copy: Path, libero_env: EnvSpec) -> None:
    edit_json(copy / "config.json", lambda data: data.update(type="pi05"))
    with pytest.raises(UsageError, match="'pi05'; this policy reads 'pi0'"):
        load(copy, libero_env)


def test_another_robot(copy: Path, libero_env: EnvSpec) -> None:
    def change(data: dict) -> None:
        data["output_features"]["action"]["shape"] = [32]

    edit_json(copy / "config.json", change)
    with pytest.raises(UsageError, match="has 32 numbers, needed are 7"):
        load(copy, libero_env)


def test_an_unknown_variant(copy: Path, libero_env: EnvSpec) -> None:
    edit_json(copy / "config.json", lambda data: data.update(paligemma_variant="gemma_9b"))
    with pytest.raises(UnknownNameError, match="paligemma_variant"):
        load(copy, libero_env)
    with pytest.raises(UnknownNameError, match="Did you mean 'gemma_2b'"):
        read_published(copy)


def test_relative_actions_of_the_checkpoint(copy: Path, libero_env: EnvSpec) -> None:
    def change(data: dict) -> None:
        names = ["x", "y", "z", "rx", "ry", "rz", "gripper"]
        data["steps"][3]["config"].update(enabled=True, action_names=names)

    edit_json(copy / "policy_preprocessor.json", change)
    assert load(copy, libero_env).processor.config.relative_parts == ("eef_pos", "eef_rot")
    given = Pi0Config(dtype="float32", device="cpu", relative_parts=["eef_pos"])
    assert load(copy, libero_env, given).processor.config.relative_parts == ("eef_pos",)


def test_a_checkpoint_for_the_bimanual_suite(copy: Path) -> None:
    """Trained on the suite's own demonstrations: its cameras, joint angles, relative arms."""
    suite = SuiteRecipe("robotwin_clean", suites()["robotwin_clean"].config_class()()).build()
    env = suite.env_spec
    names = [f"{side}_{i}" for side in ("left", "right") for i in (*range(7), "gripper")]
    visual = {"type": "VISUAL", "shape": [3, 128, 128]}
    cameras = ("head_camera", "left_camera", "right_camera")

    def robot(data: dict) -> None:
        data["input_features"] = {f"observation.images.{name}": visual for name in cameras}
        data["input_features"]["observation.state"] = {"type": "STATE", "shape": [16]}
        data["output_features"]["action"]["shape"] = [16]

    def relative(data: dict) -> None:
        data["steps"][3]["config"].update(enabled=True, action_names=names)

    edit_json(copy / "config.json", robot)
    edit_json(copy / "policy_preprocessor.json", relative)
    for file in copy.glob("policy_*.safetensors"):
        numbers = {"mean": torch.linspace(0, 1, 16), "std": torch.linspace(1, 2, 16)}
        keys = ("observation.state", "action")
        save_file(
            {f"{key}.{part}": numbers[part].clone() for key in keys for part in numbers}, file
        )
    config = Pi0Config(dtype="float32", device="cpu", conventions="suite")
    processor = load(copy, env, config).processor
    assert processor.interface.cameras == cameras
    assert processor.config.relative_parts == ("left_arm", "right_arm")
    assert processor.relative == ((True,) * 7 + (False,)) * 2
    assert processor.interface.action == env.action
    assert processor.action_statistics.size == 16


def test_cameras_are_never_guessed(libero_env: EnvSpec) -> None:
    published = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
    both = ("agentview", "robot0_eye_in_hand")
    assert choose_cameras(published, CONFIG, libero_env) == both
    with pytest.raises(UsageError, match=r"image features \['front'\]"):
        choose_cameras(("image", "front"), CONFIG, libero_env)
    named = Pi0Config(cameras=["robot0_eye_in_hand", "none"])
    assert choose_cameras(("front", "side"), named, libero_env) == ("robot0_eye_in_hand",)
    with pytest.raises(UsageError, match="has 3 image features"):
        choose_cameras(published, named, libero_env)
    own = Pi0Config(conventions="suite")
    assert choose_cameras(("agentview", "empty_camera_0"), own, libero_env) == ("agentview",)
    with pytest.raises(UnknownNameError, match="Did you mean 'libero'"):
        choose_cameras(published, Pi0Config(conventions="liberoo"), libero_env)


def test_the_tokenizer_may_lie_elsewhere(tmp_path: Path, libero_env: EnvSpec) -> None:
    folder = write_published(tmp_path / "bare", lively_model(SIZES), with_tokenizer=False)
    with_it = write_published(tmp_path / "other", lively_model(SIZES))
    config = Pi0Config(dtype="float32", device="cpu", tokenizer=str(with_it))
    assert load(folder, libero_env, config).processor.tokenizer.encode("put the bowl")
    nowhere = Pi0Config(dtype="float32", device="cpu", tokenizer="no such place")
    with pytest.raises(MissingError, match=r"policy\.tokenizer=FOLDER"):
        load(folder, libero_env, nowhere)
    (with_it / "tokenizer.json").unlink()
    with pytest.raises(MissingError, match=r"no tokenizer\.json"):
        load(folder, libero_env, config)


def test_our_own_folder(published_folder: Path, libero_env: EnvSpec, tmp_path: Path) -> None:
    bundle = load(published_folder, libero_env)
    bundle.training = {"train_step": 7, "demos": 3}
    bundle.trained_states = frozenset({"a", "b"})
    bundle.save(tmp_path)
    again = load_bundle(tmp_path, torch.float32, "cpu")
    assert_equal_weights(weights(again), weights(bundle))
    assert again.training == bundle.training
    assert again.trained_states == bundle.trained_states
    mine, theirs = again.processor, bundle.processor
    assert mine.interface == theirs.interface
    assert mine.config == theirs.config
    assert mine.architecture == theirs.architecture
    assert mine.action_statistics.to_json() == theirs.action_statistics.to_json()
    assert mine.tokenizer.encode("the bowl") == theirs.tokenizer.encode("the bowl")
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"model.safetensors", "policy.yaml", "statistics.json", "tokenizer.json"}
    keys = load_file(tmp_path / "model.safetensors")
    assert EMBEDDING in keys, "own checkpoints have the published names"
    policy = make_pi0(
        Pi0Config(checkpoint=str(tmp_path), dtype="float32", device="cpu"),
        PolicyContext(env_spec=libero_env),
    )
    assert policy.spec.training["train_step"] == 7
    assert policy.spec.trained_states == frozenset({"a", "b"})
    assert policy.spec.checkpoint == str(tmp_path)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "policy.yaml", "statistics.json", "tokenizer.json"]
)
def test_each_file_of_our_folder_is_needed(
    name: str, published_folder: Path, libero_env: EnvSpec, tmp_path: Path
) -> None:
    load(published_folder, libero_env).save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingError):
        load_bundle(tmp_path, torch.float32, "cpu")


def test_a_folder_of_another_family(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("format: 1\nfamily: openvla_oft\n")
    with pytest.raises(UsageError, match="reads format 1 of family 'pi0'"):
        load_bundle(tmp_path, torch.float32, "cpu")


def test_fine_tuning_starts_from_published_weights(
    copy: Path, libero_env: EnvSpec, published_folder: Path
) -> None:
    """A base model has no statistics; the new data's are used."""
    (copy / "policy_postprocessor.json").unlink()
    trained = load(published_folder, libero_env).processor
    data = TrainingData(
        interface=trained.interface,
        instructions=(),
        action_statistics=trained.action_statistics,
        state_statistics=trained.state_statistics,
    )
    bundle = base_bundle(copy, CONFIG, trained.config, data, KNOWN)
    assert_equal_weights(weights(bundle), dict(lively_model(SIZES).state_dict()))


def test_weights_are_asked_for(libero_env: EnvSpec) -> None:
    context = PolicyContext(env_spec=libero_env)
    with pytest.raises(UsageError, match="policy pi0 needs weights"):
        make_pi0(Pi0Config(), context)
    with pytest.raises(UsageError, match="not both"):
        make_pi0_micro(SmallConfig(checkpoint="x", random_weights_seed=0), context)
    with pytest.raises(UnknownNameError, match="dtype"):
        make_pi0_micro(SmallConfig(random_weights_seed=0, dtype="float16"), context)
    with pytest.raises(UnknownNameError, match="Did you mean 'default'"):
        make_pi0_micro(SmallConfig(random_weights_seed=0, compile="defaul"), context)
    with pytest.raises(UsageError, match="device=tpu"):
        make_pi0_micro(SmallConfig(random_weights_seed=0, device="tpu"), context)


def test_bfloat16_keeps_positions_exact(published_folder: Path) -> None:
    """Rotary frequencies and the flow time's are computed, not learned: never rounded."""
    model = load_model(SIZES, published_folder, torch.bfloat16, "cpu")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    exact = dict(load_model(SIZES, published_folder, torch.float32, "cpu").named_buffers())
    for name, value in model.named_buffers():
        assert torch.equal(value, exact[name]), name
