"""Cameras: what the policy's observation shows, drawn when asked for."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import Orientation
from sfbench.sim.offscreen import OffscreenRenderer

from .culling import Culling

_COLLISION_GROUP = 0
_HIDDEN_GROUP = mujoco.mjNGROUP - 1


class Viewer:
    """Draws one scene at given joint positions, on data of its own so that physics is not touched.

    Attributes:
        data: kinematics only; as of the last `look`.
        culling: hides what a camera cannot see.
    """

    def __init__(self, model: mujoco.MjModel, size_px: int, orientation: Orientation) -> None:
        self.data = mujoco.MjData(model)
        self._model, self._orientation = model, orientation
        self._buffer = np.empty((size_px, size_px, 3), np.uint8)
        self.culling = Culling(model)
        self._renderer: OffscreenRenderer | None = None

    def look(self, qpos: NDArray[np.float64]) -> None:
        """Move everything to these joint positions and the model's present fixture poses."""
        self.data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self.data)
        mujoco.mj_comPos(self._model, self.data)
        mujoco.mj_camlight(self._model, self.data)

    def image(self, camera: str) -> NDArray[np.uint8]:
        """A new array [H, W, 3] of what was looked at."""
        number = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, camera)
        renderer = self._ready()
        self.culling.hide_unseen(self.data, number)
        try:
            renderer.rgb(self.data, number, self._buffer)
        finally:
            self.culling.show_all()
        if self._orientation is Orientation.MIRRORED:
            return np.ascontiguousarray(self._buffer[::-1, ::-1])
        if self._orientation is Orientation.UPRIGHT:
            return np.ascontiguousarray(self._buffer[::-1])
        return self._buffer.copy()

    def close(self) -> None:
        """Free GL objects."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _ready(self) -> OffscreenRenderer:
        if self._renderer is None:
            # robosuite's buffer: 640 x 480 unless a camera is larger.
            size = self._buffer.shape[0]
            view = self._model.vis.global_
            view.offwidth, view.offheight = max(size, view.offwidth), max(size, view.offheight)
            self._renderer = OffscreenRenderer(self._model)
            self._renderer.option.geomgroup[_COLLISION_GROUP] = 0
            self._renderer.option.geomgroup[_HIDDEN_GROUP] = 0
        return self._renderer
