"""Rendering a MuJoCo model into arrays."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sfbench.sim import gl


class OffscreenRenderer:
    """Draws the cameras of one model. The model's `vis.global_` sets buffer size and multisampling.

    All renderers of a process share its GL context. Closing is explicit, because freeing GL objects
    needs that context to be current.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        gl.make_current()
        self._model = model
        self._option = mujoco.MjvOption()
        self.scene = mujoco.MjvScene(model, maxgeom=max(1000, 2 * model.ngeom))
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._context: Any = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)

    @property
    def option(self) -> mujoco.MjvOption:
        """Which geom groups and aids are drawn; may be changed by the owner."""
        return self._option

    def rgb(self, data: mujoco.MjData, camera_id: int, out: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Draw into `out`, uint8 [H, W, 3], bottom row first (OpenGL's order); returns `out`."""
        self._draw(data, camera_id, out.shape[0], out.shape[1])
        mujoco.mjr_readPixels(out, None, self._rect(out.shape[0], out.shape[1]), self._context)
        return out

    def depth_m(
        self, data: mujoco.MjData, camera_id: int, height: int, width: int
    ) -> NDArray[np.float32]:
        """Distance along the camera's axis in m, float32 [H, W], top row first.

        Of what lies at the pixels' centres, as in `segmentation`; the far plane where nothing is.
        """
        raw = np.empty((height, width), np.float32)
        with self._flat_colours():
            self._draw(data, camera_id, height, width)
        mujoco.mjr_readPixels(None, raw, self._rect(height, width), self._context)
        extent = self._model.stat.extent
        near, far = self._model.vis.map.znear * extent, self._model.vis.map.zfar * extent
        # Inverts the perspective projection's hyperbolic depth.
        metres: NDArray[np.float32] = near / (1.0 - raw * (1.0 - near / far))
        return metres[::-1]

    def segmentation(
        self, data: mujoco.MjData, camera_id: int, height: int, width: int
    ) -> NDArray[np.int32]:
        """The geom id at every pixel, -1 for none; int32 [H, W], top row first."""
        with self._flat_colours():
            codes = self.rgb(data, camera_id, np.empty((height, width, 3), np.uint8))
        # MuJoCo paints (index in the scene + 1) as a little-endian 24-bit colour.
        index = codes.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        geom_type = int(mujoco.mjtObj.mjOBJ_GEOM)
        table = np.full(self.scene.ngeom + 1, -1, np.int32)
        for geom in self.scene.geoms[: self.scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == geom_type:
                table[geom.segid + 1] = geom.objid
        return table[index][::-1]

    def upload_textures(self, ids: Iterable[int]) -> None:
        """Send textures that were repainted in the model to the GPU."""
        gl.make_current()
        for index in ids:
            mujoco.mjr_uploadTexture(self._model, self._context, index)

    def close(self) -> None:
        """Free the GL objects."""
        if self._context is not None:
            gl.make_current()
            self._context.free()
            self._context = None

    @contextmanager
    def _flat_colours(self) -> Iterator[None]:
        """Draw each geom in its own colour: no sky, and no multisampling.

        With multisampling a pixel's depth would be that of its first sample, 3/8 px off the centre.
        """
        flags = self.scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        try:
            yield
        finally:
            flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0

    def _draw(self, data: mujoco.MjData, camera_id: int, height: int, width: int) -> None:
        self._camera.fixedcamid = camera_id
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self.scene,
        )
        # Another renderer of the process may have drawn since, into its own buffer.
        mujoco.mjr_restoreBuffer(self._context)
        mujoco.mjr_render(self._rect(height, width), self.scene, self._context)

    @staticmethod
    def _rect(height: int, width: int) -> mujoco.MjrRect:
        return mujoco.MjrRect(0, 0, width, height)
