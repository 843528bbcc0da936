"""`sfbench bench rollout`, from the command line."""

from tests.conftest import Cli


def test_it_measures_the_engine_against_bare_mujoco(cli: Cli) -> None:
    few = ("task=click_bell", "cameras=[]", "steps=8", "episodes=1", "blocks=1", "workers=[1]")
    done = cli("bench", "rollout", "suite=robotwin", *few)
    assert done.returncode == 0, done.stderr
    assert "engine, 1 worker(s)" in done.stdout
    assert "bare MuJoCo" in done.stdout
