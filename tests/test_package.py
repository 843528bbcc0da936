"""What an install without the checkout gets: every file beside the code that the code reads."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = {"sfbench": "sfbench", "suites": "sfbench_suites", "policies": "sfbench_policies"}
# The manifest goes elsewhere: one that an older build left in the checkout would be read.
LISTING = """
import json, sys
import setuptools
from distutils.core import run_setup
scratch = sys.argv[1]
steps = ["-q", "egg_info", "--egg-base", scratch, "build_py", "--build-lib", scratch]
build = run_setup("setup.py", steps, stop_after="commandline").get_command_obj("build_py")
build.ensure_finalized()
print(json.dumps(build.get_outputs(include_bytecode=False)))
"""


def built(scratch: Path) -> set[str]:
    """Names of the files that a wheel would hold."""
    done = subprocess.run(
        [sys.executable, "-c", LISTING, str(scratch)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {str(Path(name).relative_to(scratch)) for name in json.loads(done.stdout)}


def test_a_wheel_holds_every_file_that_is_no_page(tmp_path: Path) -> None:
    wanted = {
        str(Path(name, path.relative_to(ROOT / folder)))
        for folder, name in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".md" and "__pycache__" not in path.parts
    }
    assert {Path(name).suffix for name in wanted} > {".json", ".safetensors", ".yaml", ".css"}
    lacking = sorted(wanted - built(tmp_path))
    assert not lacking, "give their folders an __init__.py; see package-data in pyproject.toml"
