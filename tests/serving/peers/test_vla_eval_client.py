"""vla-evaluation-harness evaluates our server, with its own command line and orchestrator."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.serving.peers.conftest import Start, finish
from tests.serving.running import Served, serving

TOY = ("policy=toy_chase", "suite=toy", "protocol=vla_eval", "policy.noise=0.2")
RUN = "from vla_eval.cli.main import main; main()"


def config(tmp_path: Path, url: str, **entry: Any) -> Path:
    """A configuration of its `run` command."""
    benchmark = {"benchmark": "puck_benchmark:PuckBenchmark", "episodes_per_task": 3, **entry}
    path = tmp_path / "config.yaml"
    content = {"server": {"url": url, "timeout": 20}, "benchmarks": [benchmark]}
    path.write_text(yaml.safe_dump({**content, "output_dir": str(tmp_path / "results")}))
    return path


def run(peer: Start, path: Path, *extra: str) -> dict[str, Any]:
    """Its result file."""
    arguments = ("run", "--config", path, "--no-docker", "--render", "cpu", "--yes", *extra)
    finish(peer("-c", RUN, *arguments))
    found = (path.parent / "results").rglob("*.json")
    results = [json.loads(item.read_text()) for item in found]
    (result,) = [item for item in results if "mean_success" in item]
    return dict(result)


def test_a_whole_evaluation(peer: Start, tmp_path: Path) -> None:
    with serving(*TOY) as served:
        result = run(peer, config(tmp_path, served.url))
        assert served.end() == (0, "")
    assert result["mean_success"] == 1.0
    assert not result.get("num_errors")
    episodes = [item for task in result["tasks"] for item in task["episodes"]]
    assert len(episodes) == 6
    server = result["server_info"]
    assert server["model_server"] == "toy_chase"
    assert server["protocol_version"] == 1


def test_two_shards_share_the_server(peer: Start, tmp_path: Path) -> None:
    with serving(*TOY, "max_batch=2") as served:
        path = config(tmp_path, served.url)
        shards = [
            peer(
                *("-c", RUN, "run", "--config", path, "--no-docker", "--render", "cpu"),
                *("--no-save", "--num-shards", 2, "--shard-id", shard),
            )
            for shard in range(2)
        ]
        for shard in shards:
            assert "100.0%" in finish(shard)


def test_its_url_carries_the_token(peer: Start, tmp_path: Path) -> None:
    with serving(*TOY, "token_env=SECRET", env={"SECRET": "sesame"}) as served:
        url = f"ws://any:sesame@127.0.0.1:{served.port}"
        assert run(peer, config(tmp_path, url))["mean_success"] == 1.0


@pytest.mark.parametrize(
    ("fault", "text"), [("nan", "holds nan at [1, 0]"), ("give_up", "gave the episode up")]
)
def test_an_error_is_one_episodes_error(peer: Start, tmp_path: Path, fault: str, text: str) -> None:
    """It reports the episode's failure with our text, and goes on with the others."""
    faulty = ("policy=toy_faulty", "suite=toy", "policy.fault_state=1", f"policy.fault={fault}")
    with serving(*faulty, "protocol=vla_eval", "policy.noise=0.2") as served:
        result = run(peer, config(tmp_path, served.url))
    episodes = [item for task in result["tasks"] for item in task["episodes"]]
    failed = [item for item in episodes if item.get("failure_reason")]
    assert len(failed) == 2
    assert all(text in item["failure_detail"] for item in failed)
    assert [item["episode_id"] for item in failed] == [1, 1]
    assert result["num_errors"] == 2


@pytest.fixture
def native(tmp_path: Path) -> Any:
    with serving(*TOY) as served:
        yield served


def test_what_is_missing_is_said(peer: Start, tmp_path: Path, native: Served) -> None:
    """A benchmark that sends no state: refused with the key's name, never made up."""
    code = (
        "import anyio, numpy as np\n"
        "from vla_eval.connection import Connection\n"
        "async def main():\n"
        f"    async with Connection('{native.url}') as c:\n"
        "        await c.start_episode({'task': {'name': 'x'}})\n"
        "        try:\n"
        "            await c.act({'images': {'top': np.zeros((32, 32, 3), np.uint8)},"
        " 'task_description': 'x'})\n"
        "        except RuntimeError as error:\n"
        "            print(error)\n"
        "anyio.run(main)\n"
    )
    assert "the observation lacks 'state'; got images, task_description" in finish(peer("-c", code))
