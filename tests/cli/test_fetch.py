"""`sfbench fetch`: weights from the hub's cache, without network."""

from pathlib import Path

import pytest

from sfbench.cli.main import run


@pytest.mark.parametrize("policy", ["openvla_oft_7b", "pi0"])
def test_a_checkpoint_that_the_cache_holds(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    policy: str,
) -> None:
    repository = tmp_path / "models--someone--tiny"
    snapshot = repository / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    (snapshot / "tokenizer.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert run(["fetch", f"policy={policy}", "checkpoint=someone/tiny"]) == 0
    assert capsys.readouterr().out.strip() == f"in place: {snapshot}"
    assert run(["fetch", f"policy={policy}", "checkpoint=someone/other"]) == 2
    assert "someone/other" in capsys.readouterr().err
