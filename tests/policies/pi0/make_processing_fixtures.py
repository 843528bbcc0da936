"""Write what the references make of images, states and actions, for the tests to compare with.

    python make_processing_fixtures.py openpi CHECKOUT     # in openpi's environment
    python make_processing_fixtures.py lerobot CHECKOUT    # in lerobot's

See make_fixtures.py for the environments; openpi's also needs chex, gcsfs, ml_collections,
tqdm-loggable, numpydantic and equinox, which its transforms import.
"""

import argparse
import importlib
import sys
from pathlib import Path

import numpy as np
import tiny
import torch
from references import import_lerobot_processing

OUT = Path(__file__).parent / "fixtures"


def run_openpi(checkout: Path) -> dict[str, np.ndarray]:
    """The client's resizing, and the whole way from LIBERO to the network and back."""
    sys.path.insert(0, str(checkout / "src"))
    from openpi_client import image_tools

    kept = {
        f"pil_{name}": image_tools.resize_with_pad(tiny.scene(height, width, 5), side, side)
        for name, (height, width, side) in tiny.RESIZED.items()
    }
    return kept | libero_there_and_back(image_tools)


def libero_there_and_back(image_tools: object) -> dict[str, np.ndarray]:
    """As examples/libero/main.py and the pi0_libero configuration (extra delta transform) do."""
    transforms = importlib.import_module("openpi.transforms")
    policies = importlib.import_module("openpi.policies.libero_policy")
    models = importlib.import_module("openpi.models.model")
    normalise = importlib.import_module("openpi.shared.normalize")
    seen = tiny.libero_observation()
    images = {
        name: image_tools.convert_to_uint8(
            image_tools.resize_with_pad(
                np.ascontiguousarray(seen[name][::-1, ::-1]), tiny.MODEL_PX, tiny.MODEL_PX
            )
        )
        for name in ("agentview", "robot0_eye_in_hand")
    }
    keys = {"state": "observation.state", "actions": "action"}
    statistics = {
        name: normalise.NormStats(
            *(np.array(tiny.STATISTICS[key][part]) for part in ("mean", "std"))
        )
        for name, key in keys.items()
    }
    data = {
        "observation/image": images["agentview"],
        "observation/wrist_image": images["robot0_eye_in_hand"],
        "observation/state": seen["state"],
    }
    for step in (
        policies.LiberoInputs(model_type=models.ModelType.PI0),
        transforms.Normalize(statistics),
        transforms.PadStatesAndActions(tiny.VECTOR),
    ):
        data = step(data)
    views = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
    # As Observation.from_dict does.
    pixels = [data["image"][view].astype(np.float32) / 255.0 * 2.0 - 1.0 for view in views]
    return {
        "libero_pixels": np.moveaxis(np.stack(pixels), -1, 1),
        "libero_present": np.array([data["image_mask"][view] for view in views]),
        "libero_state": np.asarray(data["state"], np.float32),
        **openpi_actions(transforms, policies, statistics, seen["state"]),
    }


def openpi_actions(
    transforms: object, policies: object, statistics: dict, state: np.ndarray
) -> dict[str, np.ndarray]:
    """A chunk on its way out, with and without differences from the state, and back in."""
    mask = transforms.make_bool_mask(6, -1)
    plain = transforms.Unnormalize(statistics)(
        {"state": np.zeros(tiny.VECTOR), "actions": tiny.network_output().astype(np.float64)}
    )
    actions = policies.LiberoOutputs()(plain)["actions"]
    moved = {"state": state, "actions": plain["actions"].copy()}
    absolute = policies.LiberoOutputs()(transforms.AbsoluteActions(mask)(moved))["actions"]
    back = transforms.DeltaActions(mask)({"state": state, "actions": absolute.copy()})["actions"]
    return {"libero_actions": actions, "libero_absolute": absolute, "libero_delta": back}


def run_lerobot(checkout: Path) -> dict[str, np.ndarray]:
    """The model's own resizing, normalisation in three modes, and relative actions."""
    reference = import_lerobot_processing(checkout)
    kept: dict[str, np.ndarray] = {}
    for name, (height, width, side) in tiny.RESIZED.items():
        image = torch.from_numpy(tiny.scene(height, width, 5))[None].float() / 255
        square = reference.images.resize_with_pad_torch(image, side, side)
        kept[f"torch_{name}"] = (square * 2.0 - 1.0)[0].permute(2, 0, 1).numpy()
    kinds = reference.kinds
    statistics = {**tiny.STATISTICS, "action": tiny.STATISTICS["action"] | tiny.QUANTILES}
    statistics["action"] |= {"min": tiny.QUANTILES["q01"], "max": tiny.QUANTILES["q99"]}
    state = torch.from_numpy(tiny.libero_observation()["state"]).float()
    chunk = torch.from_numpy(tiny.network_output()[:, :7])
    for mode in ("MEAN_STD", "QUANTILES", "MIN_MAX"):
        step = reference.normalise._NormalizationMixin(
            features={},
            norm_map={kind: kinds.NormalizationMode(mode) for kind in kinds.FeatureType},
            stats=statistics,
        )
        kept[f"action_{mode.lower()}"] = step._normalize_action(chunk, inverse=True).numpy()
        kept[f"target_{mode.lower()}"] = step._normalize_action(chunk, inverse=False).numpy()
        if mode == "MEAN_STD":
            key, kind = "observation.state", kinds.FeatureType.STATE
            kept["state_mean_std"] = step._apply_transform(state, key, kind).numpy()
    mask = [True] * 6 + [False]
    kept["absolute"] = reference.relative.to_absolute_actions(
        chunk[None], state[None], mask
    ).numpy()
    return kept


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", choices=("openpi", "lerobot"))
    parser.add_argument("checkout", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    run = {"openpi": run_openpi, "lerobot": run_lerobot}[chosen.reference]
    with torch.no_grad():
        kept = run(chosen.checkout)
    np.savez_compressed(OUT / f"processing_{chosen.reference}.npz", **kept)


if __name__ == "__main__":
    main()
