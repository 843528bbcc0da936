"""The README's example runs, and a wrong target is refused."""

from pathlib import Path

import pytest

from sfbench.rollout.journal import read_rows
from tests.conftest import Cli

EXAMPLE = Path(__file__).parents[3] / "docs" / "own_policy.py"


def test_the_example_of_the_readme_runs(cli: Cli, tmp_path: Path) -> None:
    done = cli(
        "eval", "suite=robotwin", "policy=own", f"policy.target={EXAMPLE}:MyPolicy",
        "tasks=click_bell", "episodes=1", "out=run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = read_rows(tmp_path / "run")
    assert (row.status, row.policy) == ("failure", "my_policy")
    assert row.infer_calls == -(-row.steps // 8)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", "write FILE.py:NAME"),
        ("nowhere.py:MyPolicy", "no file nowhere.py"),
        ("no_such_module:MyPolicy", "no module 'no_such_module'"),
        (f"{EXAMPLE}:MyPolic", "Did you mean 'MyPolicy'?"),
        ("math:floor", "TypeError"),
        ("types:SimpleNamespace", "SimpleNamespace"),
    ],
)
def test_a_wrong_target_is_refused(cli: Cli, target: str, message: str) -> None:
    done = cli("eval", "suite=toy", "policy=own", f"policy.target={target}", "out=run")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
