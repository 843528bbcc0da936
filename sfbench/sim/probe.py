"""Does a GL backend work here? Asked in a process of its own, because a bad driver may abort it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfbench.errors import MissingError
from sfbench.sim import gl
from sfbench.sim.gl import GlBackend

PROBE_TIMEOUT_S = 60.0

_SCENE = """
<mujoco><worldbody><light pos="0 0 3"/><camera name="probe" pos="0 -1 0.5" xyaxes="1 0 0 0 0.4 1"/>
<geom type="sphere" size="0.2" rgba="1 0 0 1"/></worldbody></mujoco>
"""

INSTALL_HINT = (
    "On Debian or Ubuntu type: apt-get install -y libegl1 libgl1-mesa-dri libosmesa6 libgl1"
)


@dataclass(frozen=True, slots=True)
class GlProbe:
    """What a backend said.

    Attributes:
        backend: which one was asked.
        renderer: its GL_RENDERER string, or None where it does not work.
        problem: why not, else ''.
    """

    backend: GlBackend
    renderer: str | None
    problem: str

    @property
    def family(self) -> str:
        """The protocol card's GL family; 'none' where it does not work."""
        return "none" if self.renderer is None else gl.family(self.renderer)


def probe(backend: GlBackend, egl_device: int | None = None) -> GlProbe:
    """Render one frame in a subprocess; takes about a second."""
    command = [sys.executable, "-m", "sfbench.sim.probe", backend.value]
    if egl_device is not None:
        command.append(str(egl_device))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return GlProbe(backend, None, f"no frame within {PROBE_TIMEOUT_S:g} s")
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        last = lines[-1] if lines else f"the process ended with status {done.returncode}"
        return GlProbe(backend, None, last)
    return GlProbe(backend, json.loads(done.stdout.splitlines()[-1])["renderer"], "")


def first_working(backends: Sequence[GlBackend], egl_device: int | None) -> GlProbe:
    """The first backend that renders.

    Raises:
        MissingError: none does; says why each failed and what to install.
    """
    problems = []
    for backend in backends:
        found = probe(backend, egl_device)
        if found.renderer is not None:
            return found
        problems.append(f"{backend}: {found.problem}")
    raise MissingError(
        "no GL backend works here, so no camera can be rendered:\n  "
        + "\n  ".join(problems)
        + f"\n{INSTALL_HINT}"
    )


def _main(arguments: Sequence[str]) -> None:
    gl.configure(GlBackend(arguments[0]), int(arguments[1]) if len(arguments) > 1 else None)
    import mujoco

    from sfbench.sim.offscreen import OffscreenRenderer

    model = mujoco.MjModel.from_xml_string(_SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    image = OffscreenRenderer(model).rgb(data, 0, np.zeros((64, 64, 3), np.uint8))
    if image.min() == image.max():
        raise SystemExit("it renders frames of one colour")
    print(json.dumps({"renderer": gl.renderer_name()}))


if __name__ == "__main__":
    _main(sys.argv[1:])
