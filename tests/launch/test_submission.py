"""Submission to Slurm, against a stateful stand-in."""

import fcntl
import json
import time
from dataclasses import fields
from pathlib import Path

import pytest

from sfbench.launch.folder import SweepFolder
from sfbench.launch.graph import Stage
from sfbench.launch.profile import Profile, read_profile
from sfbench.launch.serving import Watch
from tests.launch.conftest import GRID, Sweep
from tests.launch.fake_slurm import FakeSlurm

SHIPPED = Path(__file__).parents[2] / "slurm"
SLURM = ("launcher=slurm", "out=sweep")
THOUSAND = """
eval: {suite: toy, policy: toy_chase, episodes: 2}
grid:
  seed: ${seeds}
"""


def events(folder: str = "sweep") -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(folder, "jobs.jsonl").read_text().splitlines()]


def test_stages_are_arrays_that_wait_for_each_other(sweep: Sweep, slurm: FakeSlurm) -> None:
    Path("p.yaml").write_text(
        "partition: gpu\ncpus_per_task: 3\nmem_gb: 1.5\ntime_min: 90\nsignal_delay_s: 60\n"
        "max_parallel: 7\nsetup: ['module load cuda']\npython: container run python\n"
        "extra: {nice: '5'}\n"
    )
    out = sweep("submit", sweep.write(GRID), *SLURM, "profile=p.yaml", "shards=2")
    assert "eval: job 100, 8 tasks" in out
    assert "report: job 101, 1 tasks" in out
    evaluation, report = (slurm.jobs()[job]["set"] for job in ("100", "101"))
    assert evaluation["array"] == "0-7%7"
    assert (evaluation["partition"], evaluation["cpus-per-task"]) == ("gpu", "3")
    assert (evaluation["mem"], evaluation["time"]) == ("1536M", "90")
    assert (evaluation["signal"], evaluation["nice"]) == ("USR2@60", "5")
    assert "dependency" not in evaluation
    assert report["dependency"] == "afterany:100"
    text = slurm.jobs()["100"]["text"]
    assert "#SBATCH --requeue" in text
    assert text.index("module load cuda") < text.index("container run python")
    assert len(slurm.calls("sbatch")) == 2


def test_a_training_comes_first(sweep: Sweep, slurm: FakeSlurm) -> None:
    text = GRID + "train: {steps: 5}\ntrain_entry: sfbench_toy.training:command\ncheckpoints: [3]\n"
    Path("many.yaml").write_text("nodes: 2\ntasks_per_node: 4\n")
    sweep("submit", sweep.write(text), *SLURM, "stage_profiles.train=many.yaml")
    train, evaluation = (slurm.jobs()[job]["set"] for job in ("100", "101"))
    assert (train["nodes"], train["ntasks-per-node"]) == ("2", "4")
    assert (evaluation["nodes"], evaluation["dependency"]) == ("1", "afterok:100")


SERVED = """
eval: {suite: toy, policy: remote_openpi, policy.mapping: native, policy.open_loop_steps: 4}
server: {suite: toy, policy: toy_chase, protocol: openpi}
grid: {tasks: [reach]}
"""


def test_evaluations_wait_for_their_server(sweep: Sweep, slurm: FakeSlurm) -> None:
    """It may wait in the queue for long; simulators that hold nodes meanwhile do nothing."""
    sweep("submit", sweep.write(SERVED), *SLURM)
    server, evaluation = (slurm.jobs()[job]["set"] for job in ("100", "101"))
    assert "dependency" not in server
    assert evaluation["dependency"] == "after:100"


def test_one_process_cannot_be_server_and_client(sweep: Sweep) -> None:
    said = sweep.refused("submit", sweep.write(SERVED), "launcher=debug", "out=sweep")
    assert "launcher=local" in said


def test_a_server_sees_that_a_client_was_killed(sweep: Sweep, slurm: FakeSlurm) -> None:
    """What the client said of itself last was that it runs."""
    sweep("submit", sweep.write(SERVED), *SLURM, "server_idle_min=0")
    folder = SweepFolder(Path("sweep"))
    graph = folder.graph()
    (cell,) = graph.of_stage(Stage.EVAL)
    (server,) = graph.of_stage(Stage.SERVE)
    folder.write_task(cell.tasks[0], {"state": "running"})
    watch = Watch(folder, graph, server)
    journal = folder.journal(cell.tasks[0], cell.shards)
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before_s = watch.used_s
        watch.is_over()
        assert watch.used_s > before_s
    assert watch.is_over()


def test_a_thousand_cells_need_one_call_per_stage_and_little_time(
    sweep: Sweep, slurm: FakeSlurm
) -> None:
    slurm.set(delay_s={"sbatch": 0.2})
    text = THOUSAND.replace("${seeds}", str(list(range(1000))))
    # Processor time: a busy machine must not fail this. The real cluster's test takes the clock.
    start_s = time.process_time()
    sweep("submit", sweep.write(text), *SLURM)
    own_s = time.process_time() - start_s
    assert len(slurm.calls("sbatch")) == 2
    assert len(slurm.calls("scontrol")) == 0
    assert len(slurm.jobs()["100"]["tasks"]) == 1000
    assert own_s < 5.0, f"{own_s:.1f} s"


def test_arrays_are_split_where_the_cluster_takes_smaller_ones(
    sweep: Sweep, slurm: FakeSlurm
) -> None:
    slurm.set(max_array=300)
    text = THOUSAND.replace("${seeds}", str(list(range(1000))))
    sweep("submit", sweep.write(text), *SLURM)
    jobs = slurm.jobs()
    arrays = [job for job in jobs.values() if job["name"].endswith("-eval")]
    assert [len(job["tasks"]) for job in arrays] == [300, 300, 300, 100]
    assert {job["set"]["array"].partition("%")[2] for job in arrays} == {"64"}  # 256 shared by 4
    report = next(job for job in jobs.values() if job["name"].endswith("-report"))
    assert report["set"]["dependency"] == "afterany:100:101:102:103"
    tasks = [task for event in events() if event["stage"] == "eval" for task in event["tasks"]]  # type: ignore[attr-defined]
    assert len(set(tasks)) == 1000


def test_status_and_cancel_find_jobs_by_name(sweep: Sweep, slurm: FakeSlurm) -> None:
    """Also those whose id could not be written down, because the submitter was killed."""
    sweep("submit", sweep.write(GRID), *SLURM)
    slurm.set_states("RUNNING", "100_1", "100_2")
    assert "2/2/0" in sweep("status", "sweep", status=3)
    lines = Path("sweep/jobs.jsonl").read_text().splitlines(keepends=True)
    Path("sweep/jobs.jsonl").write_text(lines[1])
    assert "5 tasks cancelled" in sweep("cancel", "sweep")
    assert all(
        state == "CANCELLED" for job in slurm.jobs().values() for state in job["tasks"].values()
    )


def test_accounting_tells_why(sweep: Sweep, slurm: FakeSlurm) -> None:
    sweep("submit", sweep.write(GRID), *SLURM)
    slurm.set_states("TIMEOUT", "100_0")
    slurm.set_states("NODE_FAIL", "100_1")
    assert "never started" in sweep("status", "sweep", status=3)
    slurm.set(accounting=True)
    out = sweep("status", "sweep", status=3)
    assert "TIMEOUT" in out
    assert "NODE_FAIL" in out
    assert "2/0/2" in out


def test_only_what_is_missing_and_not_queued_is_submitted_again(
    sweep: Sweep, slurm: FakeSlurm
) -> None:
    sweep("submit", sweep.write(GRID), *SLURM)
    slurm.set_states("NODE_FAIL", "100_1", "100_3")
    out = sweep("resubmit", "sweep")
    assert "3 tasks submitted" in out  # with the report
    assert events()[-2]["tasks"] == ["chase-reach_far/0", "noisy-reach_far/0"]
    assert "nothing to submit" in sweep("resubmit", "sweep")


# -- bad input


def test_unknown_profile(sweep: Sweep, slurm: FakeSlurm) -> None:
    out = sweep.refused("submit", sweep.write(GRID), *SLURM, "profile=exampl")
    assert "Did you mean 'example'" in out
    assert not Path("sweep").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partiton: gpu", "Did you mean 'partition'"),
        ("time_min: 0", "time_min=0"),
        ("cpus_per_task: many", "cpus_per_task"),
        ("[]", "key: value"),
    ],
)
def test_bad_profiles(sweep: Sweep, slurm: FakeSlurm, text: str, message: str) -> None:
    Path("p.yaml").write_text(text)
    assert message in sweep.refused("submit", sweep.write(GRID), *SLURM, "profile=p.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("grid.seed=[]", "grid.seed is empty"),
        ("max_cells=3", "4 cells (arm 2 x tasks 2), more than max_cells=3"),
        ("grid.tasks=[reach,reech]", "Did you mean 'reach'"),
        ("eval.episods=3", "Did you mean 'episodes'"),
        ("eval.episodes=many", "episodes"),
        ("eval.episodes=300", "allowed 1 to 20"),
        ("eval.suite=toys", "Did you mean 'toy'"),
        ("eval.shard=0/2", "set by the sweep"),
        ("grid.server.seed=[0]", "add it"),
        ("server={policy:toy_chase,suite:toy,protocl:openpi}", "Did you mean 'protocol'"),
        ("server={policy:toy_chase,suite:toy,port:80}", "set by the sweep"),
    ],
)
def test_bad_grids(sweep: Sweep, slurm: FakeSlurm, change: str, message: str) -> None:
    assert message in sweep.refused("submit", sweep.write(GRID), *SLURM, change)
    assert not slurm.calls("sbatch")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("policy: pi0_micro, dataset: d, stepz: 3", "Did you mean 'steps'"),
        ("policy: pi0_micro", "dataset= is missing"),
    ],
)
def test_bad_trainings(sweep: Sweep, slurm: FakeSlurm, train: str, message: str) -> None:
    text = f"{GRID}train: {{{train}}}\ncheckpoints: [3]\n"
    assert message in sweep.refused("submit", sweep.write(text), *SLURM)


def test_a_training_entry_that_is_not_there(sweep: Sweep, slurm: FakeSlurm) -> None:
    text = GRID + "train: {}\ncheckpoints: [3]\ntrain_entry: nowhere:train\n"
    assert "cannot import it" in sweep.refused("submit", sweep.write(text), *SLURM)


def test_no_sbatch(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    out = sweep.refused("submit", sweep.write(GRID), *SLURM)
    assert "no sbatch on the PATH" in out
    assert "launcher=local" in out


def test_a_partition_that_does_not_exist(sweep: Sweep, slurm: FakeSlurm) -> None:
    Path("p.yaml").write_text("partition: gpus\n")
    out = sweep.refused("submit", sweep.write(GRID), *SLURM, "profile=p.yaml")
    assert "unknown partition 'gpus'. Did you mean 'gpu'? Valid: gpu, main" in out


def test_a_rejected_job_says_what_was_submitted(sweep: Sweep, slurm: FakeSlurm) -> None:
    slurm.set(refused=["-report"])
    out = sweep("submit", sweep.write(GRID), *SLURM, status=3)
    assert "Job violates accounting/QOS policy" in out
    assert "Submitted before that: jobs 100" in out
    assert "sfbench sweep cancel" in out
    assert "4 tasks cancelled" in sweep("cancel", "sweep")
    slurm.set(refused=[])
    assert "5 tasks submitted" in sweep("resubmit", "sweep")


def test_the_first_job_rejected_leaves_nothing(sweep: Sweep, slurm: FakeSlurm) -> None:
    slurm.set(refused=["-eval"])
    out = sweep.refused("submit", sweep.write(GRID), *SLURM)
    assert "refused the jobs of stage eval" in out
    slurm.set(refused=[])
    sweep("submit", "grid.yaml", *SLURM)


def test_a_folder_of_another_sweep(sweep: Sweep, slurm: FakeSlurm) -> None:
    sweep("submit", sweep.write(GRID), *SLURM)
    assert "sfbench sweep resubmit" in sweep.refused("submit", "grid.yaml", *SLURM)
    out = sweep.refused("submit", "grid.yaml", *SLURM, "eval.episodes=3")
    assert "holds another sweep" in out


def test_a_folder_in_use(sweep: Sweep, slurm: FakeSlurm) -> None:
    import fcntl

    Path("sweep").mkdir()
    with Path("sweep/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 7 on login3")
        lock.flush()
        out = sweep.refused("submit", sweep.write(GRID), *SLURM)
    assert "in use: process 7 on login3" in out


def test_a_controller_that_does_not_answer(sweep: Sweep, slurm: FakeSlurm) -> None:
    sweep("submit", sweep.write(GRID), *SLURM)
    slurm.set(deaf=["squeue", "scancel"])
    assert "Unable to contact slurm controller" in sweep("status", "sweep", status=3)
    assert "Unable to contact" in sweep("resubmit", "sweep", status=3)
    assert "Unable to contact" in sweep("cancel", "sweep", status=3)


def test_a_job_that_slurm_took_without_saying_so(sweep: Sweep, slurm: FakeSlurm) -> None:
    """Nobody waits for it, and it could not run: it is ended, and what was submitted is not."""
    slurm.set(slow=True)
    out = sweep.refused("submit", sweep.write(GRID), *SLURM)
    assert "Socket timed out" in out
    assert "try again later" in out
    assert "mend the profile" not in out
    (stray,) = slurm.jobs().values()
    assert set(stray["tasks"].values()) == {"CANCELLED"}
    slurm.set(slow=False)
    sweep("submit", "grid.yaml", *SLURM)
    states = [set(job["tasks"].values()) for job in slurm.jobs().values()]
    assert states == [{"CANCELLED"}, {"PENDING"}, {"PENDING"}]


def test_a_controller_that_is_slow_and_then_deaf(
    sweep: Sweep, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfbench.launch.on_slurm._PATIENCE_S", 0.0)
    slurm.set(slow=True, deaf=["squeue"])
    out = sweep.refused("submit", sweep.write(GRID), *SLURM)
    assert "Socket timed out" in out
    assert "It may have taken them (squeue failed" in out
    slurm.set(deaf=[])
    assert "cancelled" in sweep("cancel", "sweep")
    (stray,) = slurm.jobs().values()
    assert set(stray["tasks"].values()) == {"CANCELLED"}


def test_status_works_without_slurm(
    sweep: Sweep, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep("submit", sweep.write(GRID), *SLURM)
    monkeypatch.setenv("PATH", "/nonexistent")
    out = sweep("status", "sweep", status=3)
    assert "0 / 8" in out
    assert "jobs are not known" in out


@pytest.mark.parametrize("action", ["status", "wait", "collect", "cancel", "resubmit"])
def test_no_sweep_folder(sweep: Sweep, action: str) -> None:
    assert "is no sweep folder" in sweep.refused(action, "nowhere")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "sweep what?"),
        (("stauts", "x"), "Did you mean 'status'"),
        (("submit",), "sweep submit FILE"),
        (("status", "x", "y=1"), "a sweep folder and nothing else"),
        (("wait", "x", "timeout=1"), "Did you mean 'timeout_s'"),
        (("wait", "x", "every_s=soon"), "a number of seconds"),
    ],
)
def test_bad_commands(sweep: Sweep, arguments: tuple[str, ...], message: str) -> None:
    assert message in sweep.refused(*arguments)


def test_resubmit_changes_only_where(sweep: Sweep, slurm: FakeSlurm) -> None:
    sweep("submit", sweep.write(GRID), *SLURM)
    assert "of an existing sweep only" in sweep.refused("resubmit", "sweep", "shards=3")


# -- what is shipped


def test_the_example_sweep_is_accepted(sweep: Sweep, slurm: FakeSlurm) -> None:
    out = sweep("submit", str(SHIPPED / "sweep.yaml"), *SLURM, "profile=cpu")
    assert "eval: job 100, 4 tasks" in out


@pytest.mark.parametrize(
    "path", sorted((SHIPPED / "profiles").glob("*.yaml")), ids=lambda p: p.stem
)
def test_shipped_profiles_are_read(path: Path) -> None:
    assert read_profile(str(path))


def test_the_annotated_profile_shows_the_defaults() -> None:
    assert read_profile(str(SHIPPED / "profiles" / "example.yaml")) == Profile()
    text = (SHIPPED / "profiles" / "example.yaml").read_text()
    assert all(f"\n{item.name}:" in text for item in fields(Profile))
