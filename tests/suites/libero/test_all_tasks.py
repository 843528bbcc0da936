"""All 130 tasks: built, each of their states restored, settled, stepped; resting places compared.

`make test-libero-full` runs it; `test_episodes` has a sample.
"""

import numpy as np
import pytest
from sfbench_suites.libero import assets, catalog, golden, scene_cache
from sfbench_suites.libero.config import LiberoConfig
from sfbench_suites.libero.suite import LiberoSuite

from sfbench.contracts import Split

pytestmark = [
    pytest.mark.usefixtures("needs_assets"),
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]


@pytest.mark.parametrize("suite", catalog.SUITES)
def test_every_task_settles_where_it_did(suite: str) -> None:
    tasks = catalog.tasks(suite).values()
    scene_cache.ensure(tasks, assets.find())
    assert [str(found) for found in golden.compare(tasks)] == []


@pytest.mark.parametrize(
    "name", [name for suite in catalog.SUITES for name in catalog.tasks(suite)]
)
def test_every_state_settles_and_steps(name: str) -> None:
    """And none is solved at the start, nor flies apart."""
    task = catalog.find_task(name)
    env = LiberoSuite(task.suite, LiberoConfig()).make_env(name, Split.EVAL)
    stream = np.random.default_rng(0)
    for index in range(50):
        env.reset(index, index)
        assert not env.success(), f"state {index} is solved at reset"
        for _ in range(2):
            env.step(stream.uniform(-1, 1, 7))
        state = env.observe([]).state
        assert np.isfinite(env.get_state()).all()
        assert (state >= env.spec.state.low).all()
        assert (state <= env.spec.state.high).all()
    env.close()
