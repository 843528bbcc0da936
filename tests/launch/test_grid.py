"""From a sweep file to cells, and what is refused."""

from pathlib import Path

import pytest

from sfbench.cli.eval import make_request
from sfbench.errors import UsageError
from sfbench.launch.cells import make_graph
from sfbench.launch.graph import Graph, Stage
from sfbench.launch.grid import as_argument, cell_ids, expand
from sfbench.launch.sweep_file import SweepConfig, read_sweep, to_yaml


def test_every_combination_once() -> None:
    points = expand({"seed": [0, 1, 2], "arm": {"a": {"policy": "x"}, "b": None}}, 6)
    assert len(points) == 6
    assert len({tuple(point.labels.items()) for point in points}) == 6
    assert points[0].keys == {"seed": 0, "arm": "a", "policy": "x"}
    assert points[1].keys == {"seed": 0, "arm": "b"}


def test_a_variant_is_no_key() -> None:
    assert expand({"variant": {"fast": {"workers": 2}}}, 1)[0].keys == {"workers": 2}


@pytest.mark.parametrize(
    ("grid", "text"),
    [
        ({"seed": []}, "grid.seed is empty"),
        ({"seed": 3}, "write a list of values, such as [3]"),
        ({"seed": [1, 2, 1]}, "grid.seed has '1' twice"),
        ({"seed": list(range(7))}, "7 cells (seed 7), more than max_cells=6"),
        ({"seed": [1, 2], "arm": list("abcd")}, "8 cells (seed 2 x arm 4)"),
        ({"seed": [1], "arm": {"a": {"seed": 2}}}, "seed is set by another axis too"),
        ({"arm": {"a": 3}}, "write a mapping of keys"),
    ],
)
def test_grids_that_are_refused(grid: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError) as error:
        expand(grid, 6)
    assert text in str(error.value)


def test_a_huge_grid_is_refused_before_it_is_made() -> None:
    with pytest.raises(UsageError, match="more than max_cells"):
        expand({f"axis{i}": list(range(1000)) for i in range(10)}, 2000)


def test_cells_have_folders_of_their_own() -> None:
    """Also where names differ only in what a file system drops, or in case, or in their ends."""
    labels = [{"a": text} for text in ("x/y", "x y", "X_Y", "x" * 300, "x" * 299 + "y", "../..")]
    names = cell_ids(labels)
    assert len({name.lower() for name in names}) == len(labels)
    assert all("/" not in name and len(name) < 100 and name.strip(".") for name in names)


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "a b",
        "a=b",
        'say "so"',
        "back\\slash",
        "end\\",
        'a\\"b',
        "ünï, [x]",
        "",
        "007",
        "null",
    ],
)
def test_texts_survive_the_command_line(value: str) -> None:
    request = make_request(["suite=toy", "policy=toy_chase", as_argument("arm", value)])
    assert request.arm == value


def test_other_values_survive_the_command_line() -> None:
    keys = {"tasks": ["reach", "reach_far"], "seed": 3, "policy.noise": 0.5, "preset": None,
            "record_actions": True}  # fmt: skip
    request = make_request(
        ["suite=toy", "policy=toy_chase", *(as_argument(*item) for item in keys.items())]
    )
    assert request.plan.tasks == ("reach", "reach_far")
    assert (request.plan.seed, request.policy.config.noise) == (3, 0.5)
    assert request.record_actions


def test_one_training_serves_many_evaluations() -> None:
    config = SweepConfig(
        name="t",
        eval={"suite": "toy"},
        train={"policy": "p", "steps": 20},
        checkpoints=[10, 20],
        grid={"train.demos": [5, 50], "seed": [0, 1, 2]},
    )
    graph = make_graph(config, Path.cwd())
    trainings = graph.of_stage(Stage.TRAIN)
    assert [cell.keys for cell in trainings] == [
        {"policy": "p", "steps": 20, "demos": 5}, {"policy": "p", "steps": 20, "demos": 50},
    ]  # fmt: skip
    evaluations = graph.of_stage(Stage.EVAL)
    assert len(evaluations) == 2 * 3 * 2
    assert {cell.step for cell in evaluations} == {10, 20}
    assert all("train.demos" not in cell.keys for cell in evaluations)
    assert {cell.needs for cell in evaluations} == {cell.id for cell in trainings}


def test_a_graph_survives_its_file() -> None:
    config = SweepConfig(name="t", eval={"suite": "toy"}, grid={"seed": [0, 1]}, shards=2)
    graph = make_graph(config, Path.cwd())
    again = Graph.from_json(graph.to_json())
    assert again == graph
    assert again.hash == graph.hash


def test_a_sweep_file_survives_its_copy(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("eval: {suite: toy, episodes: 2}\nshards: 2\n")
    first = tmp_path / "a.yaml"
    first.write_text("defaults: [base, _self_]\ngrid: {seed: [0]}\nafter_eval: afterok\n")
    config = read_sweep(first, ["grid.seed=[4,5]", "eval.policy.noise=1.5", "launcher=slurm"])
    assert config.eval == {"suite": "toy", "episodes": 2, "policy.noise": 1.5}
    assert (config.shards, config.grid) == (2, {"seed": [4, 5]})
    (tmp_path / "b.yaml").write_text(to_yaml(config))
    assert read_sweep(tmp_path / "b.yaml") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("evl: {}", "Did you mean 'eval'"),
        ("shards: 0", "shards=0: allowed 1 or more"),
        ("shards: many", "shards"),
        ("launcher: slrum", "Did you mean 'slurm'"),
        ("stage_profiles: {evla: x}", "Did you mean 'eval'"),
        ("train: {policy: x}", "name the training steps"),
        ("checkpoints: [10]", "add train"),
        ("eval: [", "sweep.yaml"),
    ],
)
def test_sweep_files_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(UsageError) as error:
        read_sweep(tmp_path / "sweep.yaml")
    assert message in str(error.value)


def test_no_sweep_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="an example to copy"):
        read_sweep(tmp_path / "none.yaml")
