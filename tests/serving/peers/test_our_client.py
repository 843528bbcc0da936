"""Our client evaluates servers that are built on the peers' own code."""

import time
from pathlib import Path

import pytest

from sfbench.cli.main import run
from sfbench.rollout.journal import read_rows
from tests.serving.peers.conftest import Start, port_of

PLAN = ("eval", "suite=toy", "episodes=3", "policy.connect_timeout_s=30")
ASK_ALWAYS = "policy.open_loop_steps=1"

ALOHA_LIKE = """
source: a test
protocols: [openpi]
instruction: [prompt]
resize: pad_bilinear
cameras:
  - camera: top
    key: [observation/image]
    orientation: mirrored
    height: 24
    width: 24
    layout: chw
state:
  key: [observation/state]
  parts: [{quantity: position, frame: table}, {quantity: position, frame: table}]
action:
  parts: [{quantity: position, frame: table, reference: delta}]
"""


def test_a_server_on_openpi_clients_messages(peer: Start, tmp_path: Path) -> None:
    mapping = tmp_path / "mine.yaml"
    mapping.write_text(ALOHA_LIKE)
    with port_of(peer("serve_openpi.py", 6)) as port:
        remote = ("policy=remote_openpi", f"policy.port={port}", f"policy.mapping={mapping}")
        extra = ("policy.open_loop_steps=3", "workers=2", "max_batch=2", "checkpoint=puck_v1")
        assert run((*PLAN, *remote, *extra, f"out={tmp_path / 'run'}")) == 0
    rows = read_rows(tmp_path / "run")
    assert [row.status for row in rows] == ["success"] * 6
    assert all(row.infer_calls == -(-row.steps // 3) for row in rows)
    assert {row.checkpoint for row in rows} == {"puck_v1"}
    card = (tmp_path / "run" / "card.json").read_text()
    assert '"name": "puck"' in card
    assert '"reset_pose"' in card


@pytest.mark.parametrize(
    ("mode", "steps", "extra"),
    [
        ("chunks", 1, ("workers=1",)),
        ("whole", 2, ("policy.open_loop_steps=2", "workers=1")),
        ("batched", 1, (ASK_ALWAYS, "workers=3", "max_batch=3", "batch_wait_s=0.2")),
    ],
)
def test_a_server_on_vla_evals_class(
    peer: Start, tmp_path: Path, mode: str, steps: int, extra: tuple[str, ...]
) -> None:
    """Whichever side it expects to cut chunks; every episode has its start and its end."""
    log = tmp_path / "log"
    with port_of(peer("serve_vla_eval.py", mode, log)) as port:
        remote = ("policy=remote_vla_eval", f"policy.port={port}", "policy.mapping=native")
        assert run((*PLAN, *remote, *extra, f"out={tmp_path / 'run'}")) == 0
        # The last episode's end may still be on its way.
        deadline_s = time.monotonic() + 60
        while log.read_text().splitlines().count("end") < 7 and time.monotonic() < deadline_s:
            time.sleep(0.05)
    rows = read_rows(tmp_path / "run")
    assert [row.status for row in rows] == ["success"] * 6
    assert all(row.infer_calls == -(-row.steps // steps) for row in rows)
    lines = log.read_text().splitlines()
    starts = [line for line in lines if line.startswith("start")]
    assert len(starts) == 7  # The probe's is the first.
    assert {row.instruction for row in rows} <= {line.removeprefix("start ") for line in starts}
    assert lines.count("end") == 7
    if mode == "chunks":
        # Its own buffer was used: one call in four steps.
        assert lines.count("call 1") == 1 + sum(-(-row.steps // 4) for row in rows)
    if mode == "batched":
        assert max(int(line.split()[1]) for line in lines if line.startswith("call")) > 1


def test_its_error_is_said(peer: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with port_of(peer("serve_vla_eval.py", "chunks", tmp_path / "log")) as port:
        remote = ("policy=remote_vla_eval", f"policy.port={port}", "policy.mapping=native")
        extra = ("policy.probe_instruction=break", f"out={tmp_path / 'run'}")
        assert run((*PLAN, *remote, *extra)) == 2
    error = capsys.readouterr().err
    assert "observation_failed: RuntimeError: out of memory" in error
    assert "policy.probe_instruction=TEXT asks" in error
