"""Sweeps of several parts, with what is prepared before them and probed after them."""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from sfbench_toy.suite import ToyConfig, env_spec

from sfbench.contracts import EpisodeKey
from sfbench.demos.convert import save
from sfbench.demos.dataset import open_dataset
from sfbench.demos.memory import MemorySource
from sfbench.demos.spec import spec_of
from sfbench.errors import StoppedError, UsageError
from sfbench.launch.cells import make_graph
from sfbench.launch.costs import costs_csv
from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Graph, Stage, TaskName
from sfbench.launch.preparing import prepare
from sfbench.launch.runner import Runner
from sfbench.launch.study import DEFAULT_SCALE, read_study, scales
from sfbench.launch.submitting import stage_plans
from sfbench.launch.sweep_file import AfterRule, SweepConfig, read_sweep, to_yaml
from tests.launch.conftest import Sweep
from tests.launch.fake_slurm import FakeSlurm
from tests.spatial.toys import _episode
from tests.training.demos import IMAGE_PX

RunHere = Callable[[SweepFolder, Graph, SweepConfig], list[str]]
POLICY = "openvla_oft_micro"
TINY: dict[str, Any] = {
    "prepare": {
        "demos": {"command": "collect", "suite": "toy", "suite.image_px": IMAGE_PX,
                  "policy": "expert", "episodes": 3, "tasks": ["reach"]},
        "probe_demos": "depth",
    },
    "train": {"policy": POLICY, "dataset": "@demos", "subset": "all", "steps": 2, "batch_size": 2,
              "device": "cpu"},
    "eval": {"suite": "toy", "suite.image_px": IMAGE_PX, "policy": POLICY, "tasks": "reach",
             "episodes": 1, "workers": 0},
    "grid": {"arm": {"baseline": None}},
    "parts": {
        "arms": {"checkpoints": [1, 2]},
        "data": {"checkpoints": [2], "grid": {"train.subset": ["1", "all"]}, "probe": None},
    },
    "probe": {"dataset": "@probe_demos", "steps": 1, "frames": 1, "batch_size": 2, "pictures": 1,
              "layers": [1], "held_out": 0.5, "device": "cpu"},
    "probe_extra": {"floor": {"control": "shuffled"}},
}  # fmt: skip
"""Two trainings of two steps: on all demonstrations, which both parts evaluate, and on one."""


def write(sweep: Sweep, changes: dict[str, Any] | None = None) -> str:
    return sweep.write(yaml.safe_dump({**TINY, **(changes or {})}))


def graph_of(**changes: Any) -> Graph:
    return make_graph(SweepConfig(**{"name": "t", **changes}), Path.cwd())


def depth_dataset(folder: Path) -> None:
    """Demonstrations as the toy suite's, with depth."""
    env = env_spec(ToyConfig(image_px=IMAGE_PX))
    made = [_episode(index, 4, 0, IMAGE_PX) for index in range(2)]
    own = [
        replace(one, images={"top": one.images["top"]},
                extras={"depth_m/top": one.extras["depth_m/top"]})
        for one in made
    ]  # fmt: skip
    save(MemorySource(spec_of("toy", env, ["top"], ["depth_m/top"]), own), folder)


# -- from the file to the graph


def test_parts_are_united_and_share_what_they_have_in_common(sweep: Sweep) -> None:
    Path("depth").mkdir()
    config = read_sweep(Path(write(sweep)))
    graph = make_graph(config, Path.cwd())
    trainings = {cell.id: cell for cell in graph.of_stage(Stage.TRAIN)}
    assert set(trainings) == {"arms-train-all", "data-train-1"}
    assert trainings["arms-train-all"].steps == (1, 2)
    found = {(cell.id, cell.needs, cell.step) for cell in graph.of_stage(Stage.EVAL)}
    assert found == {
        ("arms-baseline-1", "arms-train-all", 1), ("arms-baseline-2", "arms-train-all", 2),
        ("data-1-baseline-2", "data-train-1", 2),
    }, "what the second part shares with the first is measured once"  # fmt: skip
    probes = {cell.id: cell for cell in graph.of_stage(Stage.PROBE)}
    assert set(probes) == {"arms-probe-all", "probe-floor"}
    assert (probes["arms-probe-all"].needs, probes["arms-probe-all"].step) == ("arms-train-all", 2)
    assert probes["probe-floor"].keys["policy"] == POLICY
    (prepared,) = graph.of_stage(Stage.PREPARE)
    assert (prepared.id, prepared.command) == ("prepare-demos", "collect")
    assert trainings["data-train-1"].keys["dataset"] == "@demos"
    assert probes["probe-floor"].keys["dataset"] == str(sweep.folder / "depth")
    assert Graph.from_json(json.loads(json.dumps(graph.to_json()))).hash == graph.hash
    Path("again.yaml").write_text(to_yaml(config))
    assert read_sweep(Path("again.yaml")) == replace(config)


def test_a_training_keeps_the_checkpoints_of_all_its_parts() -> None:
    parts = {"a": {"checkpoints": [20, 10]}, "b": {"checkpoints": [5, 20]}}
    graph = graph_of(eval={"suite": "toy"}, train={"steps": 20}, parts=parts, probe={"steps": 1})
    (training,) = graph.of_stage(Stage.TRAIN)
    assert training.steps == (5, 10, 20)
    assert Counter(cell.step for cell in graph.of_stage(Stage.EVAL)) == {5: 1, 10: 1, 20: 1}
    (probe,) = graph.of_stage(Stage.PROBE)
    assert probe.step == 20


def test_overrides_reach_into_parts_and_preparations(sweep: Sweep) -> None:
    Path("depth").mkdir()
    config = read_sweep(
        Path(write(sweep)),
        ["parts.data.grid.train.seed=[0,1]", "parts.data.shards=3",
         "parts.arms.train.optimiser.lr=1", "prepare.demos.suite.image_px=16", "prepare.more=depth",
         "probe_extra.start.start=@demos/sub", "probe.steps=7"],
    )  # fmt: skip
    graph = make_graph(config, Path.cwd())
    assert len(graph.of_stage(Stage.TRAIN)) == 1 + 2 * 2, "another rate, so nothing is shared"
    assert {cell.shards for cell in graph.of_stage(Stage.EVAL)} == {1, 3}
    assert graph.cells["prepare-demos"].keys["suite.image_px"] == 16
    assert graph.cells["probe-start"].keys["start"] == "@demos/sub"
    assert graph.cells["probe-start"].keys["steps"] == 7


def test_without_parts_ids_are_as_they_were() -> None:
    graph = graph_of(eval={"suite": "toy"}, train={}, checkpoints=[3], grid={"train.seed": [0, 1]})
    assert list(graph.cells) == ["train-0", "train-1", "0-3", "1-3", "report"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["train.dataset=@demoss"], "unknown prepared folder '@demoss'. Did you mean '@demos'?"),
        (["eval.checkpoint=@start/x"], "unknown prepared folder '@start'"),
        (["prepare.demos.command=colect"], "Did you mean 'collect'"),
        (["prepare.demos.source=@probe_demos"], "cannot use what is prepared"),
        (["prepare.demos.out=x"], "prepare.demos.out is set by the sweep"),
        (["prepare.demos.episods=3"], "cell prepare-demos: unknown key 'episods'"),
        (["prepare.demos.tasks=[reech]"], "cell prepare-demos: unknown task 'reech'"),
        (["prepare.demos=nowhere"], "prepare.demos=nowhere: there is no such folder"),
        (["parts.data.gird={}"], "Did you mean 'grid'"),
        (["parts.data.checkpoints=[]"], "parts.data: train without checkpoints"),
        (["parts.data.checkpoints=2"], "write a list of steps"),
        (["parts.data.grid.train.subset=[]"], "parts.data: grid.train.subset is empty"),
        (["parts.data=3"], "write a mapping with"),
        (["max_cells=3"], "the parts have 4 cells, more than max_cells=3"),
        (["probe.stps=3"], "cell arms-probe-all: unknown key 'stps'"),
        (["probe.start=x"], "probe.start is set by the sweep"),
        (["probe=null"], "probe_extra without probe"),
        (["probe_extra.floor.control=shufled"], "cell probe-floor: unknown control 'shufled'"),
        (["stage_parallel.trian=1"], "Did you mean 'train'"),
        (["stage_parallel.train=0"], "stage_parallel.train=0: allowed 1 or more"),
    ],
)  # fmt: skip
def test_studies_that_are_refused(sweep: Sweep, changes: list[str], message: str) -> None:
    Path("depth").mkdir()
    out = sweep.refused("submit", write(sweep), "out=sweep", *changes)
    assert message in out
    assert not Path("sweep").exists()


def test_two_cells_never_share_a_folder() -> None:
    with pytest.raises(UsageError, match="two cells would have the folder report"):
        graph_of(eval={"suite": "toy"}, grid={"variant": {"report": None}})


@pytest.mark.parametrize("kind", ["prepare", "parts"])
def test_names_are_fit_for_folders(kind: str) -> None:
    with pytest.raises(UsageError, match="'a/b': names have letters, digits, _ and - only"):
        graph_of(eval={"suite": "toy"}, **{kind: {"a/b": {}}})


# -- running it


def test_a_whole_study_in_this_process(sweep: Sweep) -> None:
    """Demonstrations, trainings, evaluations and probes, all the way into the report."""
    depth_dataset(Path("depth"))
    out = sweep("submit", write(sweep), "out=sweep", "launcher=debug")
    assert "prepare: job debug, 1 tasks" in out
    assert "probe: job debug, 2 tasks" in out
    said = json.loads(Path("sweep/cells/prepare-demos/finished.json").read_text())
    assert said["cell"] == SweepFolder(Path("sweep")).graph().cells["prepare-demos"].hash
    recipe = yaml.safe_load(Path("sweep/cells/data-train-1/checkpoints/2/recipe.yaml").read_text())
    assert recipe["dataset"]["hash"] == open_dataset(Path("sweep/cells/prepare-demos")).hash
    steps, demos = (
        {tuple(line.split(",")[3:7]) for line in path.read_text().splitlines()[1:]}
        for path in (Path("sweep/report/curves.csv"), Path("sweep/report/data_efficiency.csv"))
    )
    assert steps == {("baseline", "3", "1", "1"), ("baseline", "3", "1", "2")}
    assert demos == {("baseline", "1", "0.3333", "2"), ("baseline", "3", "1", "2")}
    probed = Path("sweep/report/probe.csv").read_text()
    assert "openvla_oft_micro (shuffled)" in probed
    assert re.search(rf"{POLICY} .*2,1,linear,in", probed), "of the last kept checkpoint"
    lines = Path("sweep/report/costs.csv").read_text().splitlines()
    assert lines[0] == "stage,what,cells,hours"
    assert [line.rpartition(",")[0] for line in lines[1:]] == [
        "prepare,demos,1", "train,-,2", "eval,baseline,3", "probe,-,1", "probe,floor,1",
    ]  # fmt: skip
    assert "nothing to submit" in sweep("resubmit", "sweep")
    assert "sfbench sweep resubmit" in sweep.refused("submit", "grid.yaml", "out=sweep")
    Path("sweep/cells/probe-floor/finished.json").unlink()
    assert "0 / 1" in sweep("status", "sweep", status=3), "rows alone do not complete a probe"


def test_a_preparation_that_was_killed_goes_on(sweep: Sweep) -> None:
    """What waits for it is not run; then attempts that were made are not made again."""
    text = """
prepare: {demos: {command: collect, suite: toy, suite.step_s: 0.2, policy: expert, episodes: 6,
                  tasks: [reach], workers: 0}}
train: {steps: 1, dataset: "@demos"}
train_entry: sfbench_toy.training:command
checkpoints: [1]
eval: {suite: toy, policy: toy_chase, tasks: reach, episodes: 1, workers: 0, policy.noise: 3.0}
"""
    sweep("submit", sweep.write(text), "out=sweep")
    work = Path("sweep/cells/prepare-demos/collection")

    def journals() -> list[str]:
        return [line for path in sorted(work.glob("**/*.jsonl"))
                for line in path.read_text().splitlines(keepends=True)]  # fmt: skip

    end_s = time.monotonic() + 100
    while not journals():
        assert time.monotonic() < end_s
        time.sleep(0.02)
    assert "4 tasks cancelled" in sweep("cancel", "sweep")
    before = [line for line in journals() if line.endswith("\n")]
    assert 1 <= len(before) < 6
    assert not Path("sweep/cells/prepare-demos/finished.json").exists()
    assert not Path("sweep/tasks/train-all.0.json").exists()
    assert "4 tasks submitted" in sweep("resubmit", "sweep", "stage_parallel.train=1")
    end_s = time.monotonic() + 200
    while not Path("sweep/cells/prepare-demos/finished.json").exists():
        assert time.monotonic() < end_s
        time.sleep(0.1)
    sweep("cancel", "sweep")  # The rest is of no interest here.
    after = journals()
    assert set(before) <= set(after)
    assert len(after) == 6
    assert len(open_dataset(Path("sweep/cells/prepare-demos")).episodes) == 6


class Made:
    """A job that has ended, whether it has made anything or not."""

    job_id = "1"

    def done(self) -> bool:
        return True


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> RunHere:
    """Runs a sweep's tasks, which end at once and make nothing; says which were begun."""
    begun: list[str] = []

    def start(runner: Runner, task: TaskName, workers: int) -> Made:
        begun.append(str(task))
        return Made()

    monkeypatch.setattr(Runner, "_start", start)

    def run(folder: SweepFolder, graph: Graph, config: SweepConfig) -> list[str]:
        tasks = [task for cell in graph.cells.values() for task in cell.tasks]
        for cell in graph.of_stage(Stage.EVAL):
            write_plan(folder.cell(cell.id))
        events = [
            {"stage": plan.stage, "tasks": [str(task) for task in plan.tasks], "parallel": 1,
             "waits": json.loads(json.dumps(plan.waits))}
            for plan in stage_plans(graph, config, tasks)
        ]  # fmt: skip
        begun.clear()
        Runner(folder, graph).run(events)
        return list(begun)

    return run


def test_a_failed_preparation_stops_what_needs_it(tmp_path: Path, run_here: RunHere) -> None:
    """What needs a cell that failed is passed over, and what needs that; not the rest."""
    graph = graph_of(
        prepare={"demos": {"command": "collect", "suite": "toy"},
                 "other": {"command": "collect", "suite": "toy"}},
        eval={"suite": "toy"}, train={}, checkpoints=[1],
        grid={"arm": {"a": {"train.dataset": "@demos"}, "b": {"train.dataset": ["@other/sub"]}}},
    )  # fmt: skip
    folder = SweepFolder(tmp_path)
    folder.write_finished(graph.cells["prepare-other"])
    prepared = ["prepare-demos/0", "prepare-other/0"]
    assert run_here(folder, graph, SweepConfig()) == [*prepared, "train-b/0", "report/0"]
    tolerant = SweepConfig(after_train=AfterRule.ANY)
    assert run_here(folder, graph, tolerant) == [
        *prepared, "a-1/0", "train-b/0", "b-1/0", "report/0",
    ]  # fmt: skip
    strict = SweepConfig(after_eval=AfterRule.OK)
    assert run_here(folder, graph, strict) == [*prepared, "train-b/0"]


def test_each_training_is_followed_by_what_judges_it(tmp_path: Path, run_here: RunHere) -> None:
    graph = graph_of(
        eval={"suite": "toy"}, train={}, checkpoints=[1, 2], grid={"train.seed": [0, 1]},
        probe={"dataset": "d"}, probe_extra={"floor": {"control": "shuffled"}},
    )  # fmt: skip
    folder = SweepFolder(tmp_path)
    for seed, step in product((0, 1), (1, 2)):
        (folder.cell(f"train-{seed}") / "checkpoints" / str(step)).mkdir(parents=True)
    assert run_here(folder, graph, SweepConfig()) == [
        "train-0/0", "0-1/0", "0-2/0", "probe-0/0",
        "train-1/0", "1-1/0", "1-2/0", "probe-1/0",
        "probe-floor/0", "report/0",
    ]  # fmt: skip


def write_plan(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps({"episodes": [dict.fromkeys(EpisodeKey._fields)]}))


def test_a_preparation_says_itself_that_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"suite": "robotwin", "policy": POLICY}
    graph = graph_of(prepare={"start": {"command": "train vlm", **keys}}, eval={"suite": "toy"})
    folder, cell = SweepFolder(tmp_path), graph.cells["prepare-start"]
    seen: list[list[str]] = []
    status = [0, 3, 0]

    def command(arguments: list[str]) -> int:
        seen.append(arguments)
        return status.pop()

    monkeypatch.setattr("sfbench.cli.train.command", command)
    folder.cell(cell.id).mkdir(parents=True)
    assert prepare(folder, cell, ["out=x"], 2) == 0
    assert prepare(folder, cell, ["out=x"], 2) == 0
    assert seen == [["vlm", "out=x"]], "once it is complete, nothing is run"
    folder.write_finished(replace(cell, keys={}))
    with pytest.raises(StoppedError, match="sfbench train vlm ended with status 3"):
        prepare(folder, cell, ["out=x"], 2)
    assert not folder.is_finished(cell), "and what was made for another cell does not count"


def test_costs_count_every_step_and_episode_once(tmp_path: Path) -> None:
    """Of a training only some steps are logged; a task that is going on has no cost of its own."""
    graph = graph_of(
        prepare={"demos": {"command": "collect", "suite": "toy"}}, eval={"suite": "toy"}, train={},
        checkpoints=[1], grid={"arm": {"a": {"train.steps": 200}}}, probe={"dataset": "d"},
    )  # fmt: skip
    folder = SweepFolder(tmp_path)
    assert costs_csv(folder, graph) == "stage,what,cells,hours\n"
    for cell in graph.of_stage(Stage.PREPARE):
        folder.write_task(cell.tasks[0], {"started_s": 1000.0, "ended_s": 2800.0})
    for cell in graph.of_stage(Stage.PROBE):
        folder.write_task(cell.tasks[0], {"started_s": 1000.0})
    training = folder.cell("train-a")
    training.mkdir(parents=True)
    lines = [{"step": step, "step_s": 9.0 + share} for step, share in ((100, -1.0), (200, 1.0))]
    (training / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert costs_csv(folder, graph).splitlines()[1:] == ["prepare,demos,1,0.50", "train,a,1,0.50"]


# -- Slurm


def test_stages_on_slurm_wait_for_what_they_use(sweep: Sweep, slurm: FakeSlurm) -> None:
    Path("depth").mkdir()
    Path("p.yaml").write_text("partition: gpu\n")
    sweep("submit", write(sweep), "out=sweep", "launcher=slurm", "stage_profiles.prepare=p.yaml")
    jobs = {job["name"].rpartition("-")[2]: (number, job["set"])
            for number, job in slurm.jobs().items()}  # fmt: skip
    assert list(jobs) == ["prepare", "train", "eval", "probe", "report"]
    waits = {stage: given.get("dependency") for stage, (_, given) in jobs.items()}
    number = {stage: job for stage, (job, _) in jobs.items()}
    assert waits == {
        "prepare": None,
        "train": f"afterok:{number['prepare']}",
        "eval": f"afterok:{number['train']}",
        "probe": f"afterok:{number['train']}",
        "report": f"afterany:{number['eval']}:{number['probe']}",
    }
    assert jobs["prepare"][1]["partition"] == "gpu"
    assert "partition" not in jobs["train"][1]


def test_after_rules_differ_by_stage_and_nothing_waits_for_what_is_not_submitted(
    sweep: Sweep, slurm: FakeSlurm
) -> None:
    text = """
prepare: {demos: {command: collect, suite: toy, policy: expert, episodes: 1}}
eval: {suite: toy, policy: toy_chase, tasks: reach, episodes: 1}
"""
    sweep("submit", sweep.write(text), "out=sweep", "launcher=slurm", "after_eval=afterok")
    assert [job["set"].get("dependency") for job in slurm.jobs().values()] == [
        None, "afterok:100", "afterok:101",
    ]  # fmt: skip
    folder = SweepFolder(Path("sweep"))
    folder.write_finished(folder.graph().cells["prepare-demos"])
    slurm.set_states("COMPLETED")
    assert "2 tasks submitted" in sweep("resubmit", "sweep")
    assert slurm.jobs()["103"]["set"].get("dependency") is None


def test_what_is_submitted_again_waits_for_what_still_runs(sweep: Sweep, slurm: FakeSlurm) -> None:
    """One training of three failed, which ended the evaluations that waited for all of them."""
    text = """
train: {}
train_entry: sfbench_toy.training:command
checkpoints: [1]
eval: {suite: toy, policy: toy_chase, tasks: reach, episodes: 1}
grid: {train.steps: [1, 2, 3]}
"""
    sweep("submit", sweep.write(text), "out=sweep", "launcher=slurm")
    slurm.set_states("RUNNING", "100_0", "100_2")
    slurm.set_states("FAILED", "100_1")
    slurm.set_states("CANCELLED", "101_0", "101_1", "101_2")
    assert "5 tasks submitted" in sweep("resubmit", "sweep")
    jobs = {number: job["set"].get("dependency") for number, job in slurm.jobs().items()}
    assert jobs["103"] is None
    assert jobs["104"] == "afterok:100_0:100_2:103"
    assert jobs["105"] == "afterany:104"


# -- what is shipped


@pytest.mark.parametrize("scale", scales())
def test_the_packaged_study_is_what_it_says(scale: str) -> None:
    config = read_study("spatial_forcing", scale)
    graph = make_graph(config, Path.cwd())
    trainings = graph.of_stage(Stage.TRAIN)
    assert Counter(cell.labels["arm"] for cell in trainings) == {
        "baseline": 3 + 4 * 3, "sf_vggt_mini": 3 + 4 * 3, "sf_random": 3,
    }  # fmt: skip
    # The arms' last checkpoint is the data curve's point of all demonstrations.
    assert config.train is not None
    assert {max(cell.steps) for cell in trainings} == {config.train["steps"]}
    assert Counter(len(cell.steps) for cell in trainings) == {6: 6, 1: 27}
    assert len(graph.of_stage(Stage.PROBE)) == 9 + len(config.probe_extra)


@pytest.mark.parametrize("scale", scales())
def test_a_study_is_checked_and_submitted_by_its_name(
    sweep: Sweep, slurm: FakeSlurm, scale: str
) -> None:
    """All of it; one of each seed and fraction is as good as three for the checks."""
    few = ("grid.train.seed=[0]", "parts.data.grid.train.subset=[5%]")
    out = sweep(f"scale={scale}", "study=spatial_forcing", "launcher=slurm", *few)
    assert re.findall(r"(\w+): job \d+, (\d+) tasks", out) == [
        ("prepare", "4"), ("train", "5"), ("eval", "15"), ("probe", "8"), ("report", "1"),
    ]  # fmt: skip
    shown = f"results/sweeps/spatial_forcing_{scale}"
    plans = [json.loads(path.read_text()) for path in Path(shown).glob("cells/*/plan.json")]
    assert {len(plan["episodes"]) for plan in plans} == {3 * 50}
    if scale == DEFAULT_SCALE:
        again = sweep.refused("study=spatial_forcing", "launcher=slurm", *few)
        assert f"sfbench sweep resubmit {sweep.folder / shown}" in again


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("study=spatial_forcin",), "Did you mean 'spatial_forcing'"),
        (("study=spatial_forcing", "scale=gpus"), "Did you mean 'gpu'? Valid: cpu, gpu"),
        (("study=spatial_forcing", "trian.steps=3"), "Did you mean 'train'"),
    ],
)  # fmt: skip
def test_studies_that_are_not_there(sweep: Sweep, arguments: tuple[str, ...], message: str) -> None:
    assert message in sweep.refused(*arguments)


def test_studies_are_installed() -> None:
    """They are no modules, so they have to lie in packages to be copied with them."""
    root = Path(__file__).parents[2]
    listed = subprocess.run(
        [sys.executable, "-c", "from setuptools import find_packages as f; print(f('sfbench'))"],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for folder in ("studies", "studies/scale"):
        assert f"'launch.{folder.replace('/', '.')}'" in listed
        assert list((root / "sfbench/launch" / folder).glob("*.yaml"))
