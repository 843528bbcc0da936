"""The average of the weights."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from sfbench.training.run import train
from tests.training.runs import request


def weights(out: Path, step: int, name: str) -> dict[str, np.ndarray]:
    return load_file(out / "checkpoints" / str(step) / "training_state" / f"{name}.safetensors")


def test_the_average_is_saved_in_place_of_the_last_weights(dataset: Path, tmp_path: Path) -> None:
    """Two steps by hand, from the weights of runs without an average."""
    decay = 0.75
    states = []
    for steps in (1, 2):
        train(request(dataset, tmp_path / str(steps), steps=steps))
        states.append(weights(tmp_path / str(steps), steps, "weights"))
    train(request(dataset, tmp_path / "average", steps=1, ema_decay=decay))
    after_1 = weights(tmp_path / "average", 1, "average")
    train(request(dataset, tmp_path / "average", steps=2, ema_decay=decay))
    after_2 = weights(tmp_path / "average", 2, "average")
    live = weights(tmp_path / "average", 2, "weights")
    published = load_file(tmp_path / "average" / "checkpoints" / "2" / "model.safetensors")
    for name, second in states[1].items():
        np.testing.assert_array_equal(live[name], second, "averaging changes no training")
        expected = decay * after_1[name] + (1 - decay) * second
        np.testing.assert_allclose(after_2[name], expected, atol=1e-6)
    name = "policy.projector.fc1.weight"
    assert not np.array_equal(after_2[name], live[name])
    assert not np.array_equal(after_1[name], states[0][name])
    np.testing.assert_array_equal(published["projector.fc1.weight"], after_2[name])
