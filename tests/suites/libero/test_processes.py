"""Real processes: an empty cache, no usable HOME, no stdin, several starting at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sfbench_suites.libero import assets

WORKER = """
import os, sys
before = dict(os.environ)
import hashlib, json
import numpy as np
from sfbench.contracts import Split
from sfbench.registry import find_suite
from pkgutil import resolve_name
plugin = find_suite("libero_goal")
drawn = np.random.get_state()[2]
suite = resolve_name(plugin.factory)(plugin.config_class()())
suite.preflight()
env = suite.make_env("turn_on_the_stove", Split.EVAL)
env.reset(3, seed=11)
changed = [name for name in os.environ if before.get(name) != os.environ[name]]
seen = env.observe(["agentview"])
env.step(np.array([1.0, 0, 0, 0, 0.5, 0, 1]))
lines = open("/proc/self/status").read().splitlines()
print(json.dumps({
    "state": hashlib.sha256(env.get_state().tobytes()).hexdigest(),
    "image": hashlib.sha256(seen.images["agentview"].tobytes()).hexdigest(),
    "scene": env.scene_hash(),
    "heavy": sorted({"torch", "robosuite", "libero", "transformers"} & set(sys.modules)),
    "changed": changed,
    "global_generator_untouched": bool(np.random.get_state()[2] == drawn),
    "resident_mb": next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")),
}))
"""


def start(tmp_path: Path, home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        # The shell closes stdin, which is less than /dev/null: reading it is an error.
        ["bash", "-c", 'exec "$0" -c "$1" <&-', sys.executable, WORKER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(home), "SFBENCH_CACHE": str(tmp_path / "cache")},
    )


def test_several_processes_at_once_without_home_or_stdin(
    tree: assets.AssetTree, tmp_path: Path
) -> None:
    """HOME under /dev/null cannot be written by anyone, root included; the other is watched."""
    watched = tmp_path / "home"
    watched.mkdir()
    homes = [Path("/dev/null/home"), watched, watched]
    processes = [start(tmp_path, home) for home in homes]
    answers = []
    for process in processes:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        answers.append(json.loads(out))
    assert not list(watched.iterdir())
    for key in ("state", "image", "scene"):
        assert len({answer[key] for answer in answers}) == 1, key
    for answer in answers:
        assert answer["heavy"] == []
        assert answer["changed"] == []
        assert answer["global_generator_untouched"]
        assert answer["resident_mb"] <= 600


@pytest.mark.usefixtures("needs_assets")
def test_the_plain_loop_can_be_imported_without_side_effects(tmp_path: Path) -> None:
    """Upstream itself would ask a question, write to HOME and set variables."""
    code = (
        "import os; before = dict(os.environ)\n"
        "from sfbench_suites.libero import assets\n"
        "from sfbench_suites.libero.upstream import load_environments\n"
        "load_environments(assets.find().root, rendering=False)\n"
        "assert dict(os.environ) == before\n"
    )
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        # Compiled kernels go to the cache, which is ours; upstream's habits would go to HOME.
        env={
            **os.environ,
            "HOME": str(tmp_path / "home"),
            "SFBENCH_CACHE": str(tmp_path / "cache"),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "home").iterdir())
