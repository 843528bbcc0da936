"""Rules of the house: what may import what, and what importing may do."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGINE = sorted((ROOT / "sfbench").rglob("*.py"))
PLUGINS = sorted((ROOT / "suites").rglob("*.py")) + sorted((ROOT / "policies").rglob("*.py"))
HEAVY = ("torch", "transformers", "mujoco", "robosuite", "libero", "gymnasium", "matplotlib")


def imported(path: Path) -> set[str]:
    """Absolute module names that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_engine_imports_no_suite_and_no_policy(path: Path) -> None:
    wrong = [
        name for name in imported(path) if name.startswith(("sfbench_suites", "sfbench_polic"))
    ]
    assert not wrong


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_engine_names_no_suite_and_no_policy(path: Path) -> None:
    """As a string literal that is compared or looked up; usage texts may show examples."""
    tree = ast.parse(path.read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    names = {
        "robotwin",
        "robotwin_clean",
        "libero",
        "libero_spatial",
        "expert",
        "openvla_oft",
        "pi0",
    }
    assert not texts & names


def test_plugins_import_each_other_only_relatively() -> None:
    for path in PLUGINS:
        wrong = [name for name in imported(path) if name.startswith("sfbench_")]
        assert not wrong, f"{path} imports {wrong}"


CHECK = """
import builtins, json, os, sys
def refuse(*_): raise AssertionError("asked a question")
builtins.input = refuse
before = dict(os.environ)
import {modules}
names = before.keys() | os.environ.keys()
changed = [name for name in names if before.get(name) != os.environ.get(name)]
print(json.dumps({{"changed": changed, "loaded": sorted(sys.modules)}}))
"""


def import_in_fresh_process(modules: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", CHECK.format(modules=modules)],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        cwd="/",
        env={**os.environ, "HOME": "/nonexistent"},
    )
    assert done.stderr == ""
    report: dict[str, object] = json.loads(done.stdout)
    return report


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    parts[0] = {"sfbench": "sfbench", "suites": "sfbench_suites", "policies": "sfbench_policies"}[
        parts[0]
    ]
    return ".".join(part for part in parts if part != "__init__")


def test_importing_anything_changes_no_environment_variable() -> None:
    scripts = ("__main__", "setup")
    names = [module_name(path) for path in (*ENGINE, *PLUGINS) if path.stem not in scripts]
    assert len(names) > 40
    changed = import_in_fresh_process(", ".join(names))["changed"]
    assert isinstance(changed, list)
    # Gymnasium and torch set these two themselves.
    assert not set(changed) - {"PYGAME_HIDE_SUPPORT_PROMPT", "TORCHINDUCTOR_CACHE_DIR"}


@pytest.mark.parametrize(
    "modules",
    [
        "sfbench.contracts",
        "sfbench.registry",
        "sfbench.rollout.run",
        "sfbench.rollout.worker",
        "sfbench.cli.main",
    ],
)
def test_the_core_imports_nothing_heavy(modules: str) -> None:
    loaded = import_in_fresh_process(modules)["loaded"]
    assert isinstance(loaded, list)
    assert not [name for name in loaded if name in HEAVY]


def test_listing_plugins_imports_nothing_heavy() -> None:
    modules = "sfbench.registry; sfbench.registry.suites(); sfbench.registry.policies()"
    loaded = import_in_fresh_process(modules)["loaded"]
    assert isinstance(loaded, list)
    assert not [name for name in loaded if name in HEAVY]


def test_help_answers_at_once() -> None:
    """The best of three; where the machine does other things too, processor time counts."""
    import time

    walls_s, cpus_s = [], []
    for _ in range(3):
        start_s, start_cpu_s = time.perf_counter(), sum(os.times()[2:4])
        subprocess.run([sys.executable, "-m", "sfbench", "--help"], check=True, capture_output=True)
        walls_s.append(time.perf_counter() - start_s)
        cpus_s.append(sum(os.times()[2:4]) - start_cpu_s)
    busy = os.getloadavg()[0] > len(os.sched_getaffinity(0))
    assert min(walls_s) < 0.5 or (busy and min(cpus_s) < 0.5), (walls_s, cpus_s)


def test_no_path_of_a_developer_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".json"} and path.exists():
            assert "/" + "work/" not in path.read_text(), name
