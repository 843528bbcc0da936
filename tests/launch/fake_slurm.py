"""A stateful stand-in for sbatch, squeue, sacct, scancel, scontrol, sinfo and srun.

The programs are one script in a folder that goes onto the PATH; their state is a JSON file, which a
test reads and changes. Jobs do not run by themselves: the test says what becomes of them.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

SCRIPT = """#!{python}
import fcntl, json, os, re, sys, time
root = {root!r}
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]

def fail(text):
    print(name + ": error: " + text, file=sys.stderr)
    sys.exit(1)

with open(os.path.join(root, "lock"), "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    path = os.path.join(root, "state.json")
    state = json.load(open(path))
    state["calls"].append([name, *arguments])
    json.dump(state, open(path, "w"))
time.sleep(state["delay_s"].get(name, 0))

def change(function):
    with open(os.path.join(root, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.load(open(path))
        result = function(state)
        json.dump(state, open(path, "w"))
    return result

def option(prefix):
    return next((a[len(prefix):] for a in arguments if a.startswith(prefix)), None)

if name in state["deaf"]:
    fail("Unable to contact slurm controller (connect failure)")
if name == "sbatch":
    text = open(arguments[-1]).read()
    set_to = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.M))
    if set_to["job-name"].endswith(tuple(state["refused"]) or "\\0"):
        fail("Batch job submission failed: Job violates accounting/QOS policy")
    if set_to.get("partition", "main") not in state["partitions"]:
        fail("invalid partition specified: " + set_to["partition"])
    count = int(re.match(r"0-(\\d+)", set_to["array"]).group(1)) + 1 if "array" in set_to else None
    if count is not None and count > state["max_array"]:
        fail("Batch job submission failed: Invalid job array specification")
    def add(state):
        job = str(state["next"])
        state["next"] += 1
        ids = [job] if count is None else [f"{{job}}_{{i}}" for i in range(count)]
        state["jobs"][job] = dict(name=set_to["job-name"], set=set_to, text=text,
                                  tasks=dict.fromkeys(ids, "PENDING"))
        return job
    job = change(add)
    if state["slow"]:
        fail("Batch job submission failed: Socket timed out on send/recv operation")
    print("Submitted batch job", job)
elif name == "squeue":
    names = (option("--name=") or "").split(",")
    wanted = arguments[arguments.index("-j") + 1] if "-j" in arguments else None
    for job in state["jobs"].values():
        for task, now in job["tasks"].items():
            if now in ("PENDING", "RUNNING", "COMPLETING"):
                if wanted == task:
                    print(now)
                elif wanted is None and job["name"] in names:
                    print(f"{{task}}|{{now}}|None")
elif name == "sacct":
    if not state["accounting"]:
        fail("Slurm accounting storage is disabled")
    for job in state["jobs"].values():
        for task, now in job["tasks"].items():
            print(f"{{task}}|{{now}}")
elif name == "scancel":
    def end(state):
        for job in arguments:
            tasks = state["jobs"][job.partition("_")[0]]["tasks"]
            for task in tasks:
                if task == job or task.partition("_")[0] == job:
                    tasks[task] = "CANCELLED"
    change(end)
elif name == "scontrol" and arguments[0] == "requeue":
    def back(state):
        state["jobs"][arguments[1].partition("_")[0]]["tasks"][arguments[1]] = "PENDING"
    change(back)
elif name == "scontrol":
    print(f"MaxArraySize            = {{state['max_array']}}")
elif name == "sinfo":
    print("\\n".join(state["partitions"]))
"""

PROGRAMS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo", "srun")


class FakeSlurm:
    """The stand-in, seen from a test.

    Attributes:
        path: value for PATH.
        folder: of the programs; removing one makes it unknown.
    """

    def __init__(self, root: Path) -> None:
        self._state = root / "state.json"
        self.folder = root / "bin"
        self.folder.mkdir(parents=True)
        self.write(
            {"next": 100, "jobs": {}, "calls": [], "delay_s": {}, "deaf": [], "refused": [],
             "slow": False, "partitions": ["main", "gpu"], "max_array": 1001,
             "accounting": False}
        )  # fmt: skip
        for name in PROGRAMS:
            program = self.folder / name
            program.write_text(SCRIPT.format(python=sys.executable, root=str(root)))
            program.chmod(0o755)
        self.path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def read(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._state.read_text())
        return data

    def write(self, state: dict[str, Any]) -> None:
        self._state.write_text(json.dumps(state))

    def set(self, **settings: Any) -> None:
        self.write({**self.read(), **settings})

    def set_states(self, new: str, *tasks: str) -> None:
        """Change the state of these tasks, or of all."""
        state = self.read()
        for job in state["jobs"].values():
            for task in job["tasks"]:
                if not tasks or task in tasks:
                    job["tasks"][task] = new
        self.write(state)

    def calls(self, program: str) -> list[list[str]]:
        return [call for call in self.read()["calls"] if call[0] == program]

    def jobs(self) -> dict[str, dict[str, Any]]:
        jobs: dict[str, dict[str, Any]] = self.read()["jobs"]
        return jobs
