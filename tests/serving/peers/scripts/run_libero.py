"""vla-eval's own LIBERO benchmark, by its own command line, on assets that are already here.

Usage: run_libero.py ASSETS FOLDER CONFIG OUT. LIBERO would ask where its files are, and download.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def main(assets, folder, config, out):
    spec = find_spec("libero")
    root = Path(next(iter(spec.submodule_search_locations))) / "libero"
    places = {
        "benchmark_root": root,
        "bddl_files": root / "bddl_files",
        "init_states": root / "init_files",
        "datasets": folder,
        "assets": assets,
    }
    lines = [f"{name}: {str(place)!r}\n" for name, place in places.items()]
    (Path(folder) / "config.yaml").write_text("".join(lines))
    os.environ["LIBERO_CONFIG_PATH"] = folder
    import libero.libero
    from vla_eval.cli import main as program

    libero.libero._assets_path_cache = assets
    sys.argv = ["vla-eval", "run", "--config", config, "--no-docker", "--render", "cpu", "--yes"]
    sys.argv += ["--output-dir", out]
    program.main()


main(*sys.argv[1:])
