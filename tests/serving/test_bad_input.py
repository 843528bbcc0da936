"""Mistakes in `sfbench serve`: exit 2, one clear message, nothing served."""

from pathlib import Path

import pytest

from sfbench.cli.main import run

GOOD = ("serve", "suite=toy", "policy=toy_chase", "protocol=openpi", "port=0")

MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "no protocol": (
        ("serve", "suite=toy", "policy=toy_chase"),
        "protocol= is missing. Valid: openpi, vla_eval.",
    ),
    "misspelt protocol": (
        ("serve", "suite=toy", "policy=toy_chase", "protocol=openpie"),
        "Did you mean 'openpi'?",
    ),
    "no suite": (("serve", "policy=toy_chase", "protocol=openpi"), "suite= is missing"),
    "misspelt key": ((*GOOD, "max_bach=2"), "Did you mean 'max_batch'?"),
    "misspelt mapping": ((*GOOD, "mapping=libero_openpie"), "Did you mean 'libero_openpi'?"),
    "mapping of another suite": ((*GOOD, "mapping=libero_openpi"), "it has top, wide"),
    "mapping of the other protocol": (
        (*GOOD, "mapping=libero_oft"),
        "is for protocol vla_eval, not openpi",
    ),
    "policy beside the simulator": (
        ("serve", "suite=toy", "policy=expert", "protocol=openpi", "port=0"),
        "reads its true state",
    ),
    "policy that does not fit": ((*GOOD, "policy.hz=10"), "suite has 20, policy wants 10"),
    "open to all without a token": ((*GOOD, "host=0.0.0.0"), "no token is set"),
    "open by its name": ((*GOOD, "host=example.org"), "no token is set"),
    "empty token": ((*GOOD, "host=0.0.0.0", "token=''"), "token= is empty"),
    "two tokens": ((*GOOD, "token=a", "token_env=B"), "leave one out"),
    "token variable that is not set": ((*GOOD, "token_env=NO_SUCH"), "NO_SUCH"),
    "port outside": ((*GOOD[:-1], "port=70000"), "allowed 0 (any free one) to 65535"),
    "another machine's address": (
        (*GOOD, "host=192.0.2.1", "token=s3same"),
        "cannot listen on 192.0.2.1",
    ),
    "zero batch": ((*GOOD, "max_batch=0"), "allowed 1 or more"),
    "negative wait": ((*GOOD, "batch_wait_s=-1"), "allowed 0 or more"),
    "zero sessions": ((*GOOD, "max_sessions=0"), "allowed 1 or more"),
    "zero message": ((*GOOD, "max_message_mb=0"), "allowed 1 or more"),
    "negative seed": ((*GOOD, "seed=-1"), "allowed 0 or more"),
    "too many open-loop steps": ((*GOOD, "open_loop_steps=5"), "allowed 1 to 4"),
    "ensemble for whole chunks": ((*GOOD, "temporal_ensemble=0.1"), "protocol=vla_eval"),
    "checkpoint for a policy without": (
        ("serve", "suite=toy", "policy=noop", "protocol=openpi", "checkpoint=x"),
        "takes no checkpoint",
    ),
    "preset for a suite without": ((*GOOD, "preset=openpi"), "has no presets"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    arguments, message = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert "s3same" not in captured.err


def test_a_mapping_that_lacks_what_the_policy_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "blind.yaml"
    path.write_text(
        "source: a test\nprotocols: [openpi]\ninstruction: [prompt]\n"
        "cameras: [{camera: wide, key: [wide], orientation: upright}]\n"
        "action: {parts: [{quantity: position, frame: table, reference: delta}]}\n"
    )
    assert run((*GOOD, f"mapping={path}")) == 2
    assert "does not carry what policy 'toy_chase' reads: camera 'top', the state" in (
        capsys.readouterr().err
    )


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(("serve", "--help")) == 0
    assert "protocol=openpi|vla_eval" in capsys.readouterr().out
