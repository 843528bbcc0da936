"""`sfbench bench policy`: figures of a policy whose latency is known."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sfbench.bench.policy import (
    BatchTimings,
    PolicyBenchRequest,
    PolicyTimings,
    measure_policy,
    table,
)
from sfbench.errors import SpecMismatchError, UsageError
from sfbench.registry import PolicyRecipe, SuiteRecipe, policies, suites
from tests.conftest import Cli

SLOW = '''
import time
import numpy as np
from sfbench.contracts import CameraNeed, PolicyContext, PolicySpec, RunsIn

CALLS = []


class Slow:
    """Sleeps 4 ms, and 2 ms for each observation; looks at nothing but remembers everything."""

    def __init__(self, context: PolicyContext) -> None:
        env = context.env_spec
        self.spec = PolicySpec(
            name="slow",
            runs_in=RunsIn.MAIN,
            cameras=tuple(CameraNeed(name=c.name, orientation=c.orientation) for c in env.cameras),
            action=env.action,
            state=env.state,
            chunk_steps=2,
            open_loop_steps=2,
            card={"kind": "sleeper"},
        )
        self._size = env.action.size

    def reset(self, slot, context):
        CALLS.append(("reset", slot, context.episode.instruction))

    def act(self, observations, slots):
        CALLS.append(("act", len(observations), [o.state for o in observations]))
        start_s = time.perf_counter()
        time.sleep(0.004 + 0.002 * len(observations))
        CALLS.append(("slept", len(observations), time.perf_counter() - start_s))
        return [np.zeros((2, self._size)) for _ in slots]

    def close(self):
        CALLS.append(("close",))
'''


def request(target: str, batches: tuple[int, ...] = (4, 1), calls: int = 5) -> PolicyBenchRequest:
    config = policies()["own"].config_class()(target=target)
    return PolicyBenchRequest(
        suite=SuiteRecipe("toy", suites()["toy"].config_class()()),
        policy=PolicyRecipe("own", config),
        batches=batches,
        calls=calls,
    )


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "slow_policy.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    return "slow_policy:Slow"


def test_latency_throughput_and_order(slow: str) -> None:
    rounds: list[int] = []
    timings = measure_policy(request(slow), rounds.append)
    assert rounds == [0, 1, 2, 3, 4, 5]
    assert [one.batch for one in timings.batches] == [1, 4]
    import slow_policy

    for one in timings.batches:
        slept_s = [call[2] for call in slow_policy.CALLS if call[:2] == ("slept", one.batch)][1:]
        assert len(one.latency_s) == 5
        # A busy machine may take the processor away at any time, but hardly five times.
        beside_s = [whole - own for whole, own in zip(one.latency_s, slept_s, strict=True)]
        assert 0 <= min(beside_s) < 0.005
        assert min(slept_s) >= 0.004 + 0.002 * one.batch
        assert min(one.cpu_s) < one.p50_s, "it sleeps"
        assert one.p50_s <= one.p95_s <= max(one.latency_s)
        whole_s = sum(one.latency_s)
        assert one.observations_per_s == pytest.approx(5 * one.batch / whole_s)
        assert one.resident_bytes is not None
        assert one.resident_bytes > 10 * 2**20
    acts = [call for call in slow_policy.CALLS if call[0] == "act"]
    assert [call[1] for call in acts] == [1, 4] * 6, "batch sizes in turn, one round uncounted"
    states = np.concatenate([call[2] for call in acts])
    assert len(np.unique(states[:, 0])) == len(states), "every observation is a new one"
    assert slow_policy.CALLS[-1] == ("close",)
    slow_policy.CALLS.clear()


def test_policies_beside_the_simulator_are_refused() -> None:
    with pytest.raises(UsageError, match="runs beside the simulator"):
        measure_policy(
            PolicyBenchRequest(
                suite=SuiteRecipe("toy", suites()["toy"].config_class()()),
                policy=PolicyRecipe("expert", policies()["expert"].config_class()()),
                batches=(1,),
                calls=1,
            ),
            lambda _number: None,
        )


def test_a_policy_that_does_not_fit(slow: str, tmp_path: Path) -> None:
    text = SLOW.replace("chunk_steps=2,\n            open", "chunk_steps=1,\n            open")
    (tmp_path / "short_policy.py").write_text(text)
    with pytest.raises(SpecMismatchError, match="open_loop_steps"):
        measure_policy(request("short_policy:Slow"), lambda _number: None)


def test_table() -> None:
    latency_s = tuple(np.linspace(0.010, 0.020, 21))
    one = BatchTimings(2, latency_s, (0.005,) * 21, 300 * 2**20, None)
    assert one.p50_s == pytest.approx(0.015)
    assert one.p95_s == pytest.approx(0.0195)
    assert one.observations_per_s == pytest.approx(2 / 0.015)
    lines = table(PolicyTimings("what", 1.5, (one,))).splitlines()
    assert lines[-1].split() == ["2", "15.0", "19.5", "5.0", "133", "300"]
    assert "GPU" not in lines[-2]
    on_gpu = table(
        PolicyTimings("what", 1.5, (BatchTimings(2, latency_s, (0.005,) * 21, None, 5 * 2**20),))
    )
    assert on_gpu.splitlines()[-1].split()[-2:] == ["?", "5"]


GROWS = """
import numpy as np
from sfbench.bench.policy import peak_resident_bytes
before = peak_resident_bytes()
block = np.ones(200 * 2**17)
print(peak_resident_bytes() - before)
"""


def test_peak_memory_grows_with_use() -> None:
    """In a process of its own: this one may have had more than it will ever take again."""
    done = subprocess.run([sys.executable, "-c", GROWS], capture_output=True, text=True, check=True)
    assert 190 * 2**20 < int(done.stdout) < 260 * 2**20


def test_from_the_command_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "slow_policy.py").write_text(SLOW)
    arguments = ("bench", "policy", "suite=toy", "policy=own", "calls=2", "batches=[1,2]")
    done = cli(*arguments, "policy.target=slow_policy.py:Slow")
    assert done.returncode == 0, done.stderr
    assert "slow: " in done.stdout
    assert "kind=sleeper" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == ["1", "2"]
    assert "round 2 of 2 done" in done.stderr


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("calls=0", "allowed 1 or more"),
        ("batches=[0]", "batch sizes of 1 or more"),
        ("batch=4", "Did you mean 'batches'"),
        ("preset=openpi", "has no presets"),
    ],
)
def test_mistakes(extra: str, message: str, cli: Cli) -> None:
    done = cli("bench", "policy", "suite=toy", "policy=toy_chase", extra)
    assert done.returncode == 2
    assert message in done.stderr
