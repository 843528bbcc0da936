"""Which geoms a camera cannot see, so that they need not be drawn.

A geom is left out only if its bounding box lies outside of the camera's view and outside of the
mirrored view of every reflecting surface. That changes no pixel. Where a light casts shadows,
nothing is left out, because what is out of view may still throw one.
"""

import mujoco
import numpy as np
from numpy.typing import NDArray

from .osc_kernels import Array

_HIDDEN_GROUP = mujoco.mjNGROUP - 1
_WIDEN = 1.01
"""View angles are taken this much wider, and boxes `_MARGIN_M` larger, to be safe from rounding."""
_MARGIN_M = 1e-3


class Culling:
    """Hides geoms of one model by moving them to a geom group that is not drawn.

    Attributes:
        is_on: may be turned off, to measure what it saves.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._groups = model.geom_group.copy()
        self._boxes = model.geom_aabb.reshape(-1, 2, 3).copy()
        infinite = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        self._always = infinite | (model.geom_rbound <= 0)
        self._mirrors = np.flatnonzero(_reflects(model))
        self.is_on = not bool(model.light_castshadow.any())

    def hide_unseen(self, data: mujoco.MjData, camera: int) -> None:
        """Hide what the camera cannot see, at `data`'s kinematics. Show the rest."""
        if not self.is_on:
            return
        origin, normals = self._view(data, camera)
        seen = self._inside(data, origin, normals)
        for mirror in self._mirrors[seen[self._mirrors]]:
            seen |= self._inside(data, *_mirrored(origin, normals, *self._surface(data, mirror)))
        self._model.geom_group[:] = np.where(seen, self._groups, _HIDDEN_GROUP)

    def show_all(self) -> None:
        """Undo."""
        self._model.geom_group[:] = self._groups

    def _view(self, data: mujoco.MjData, camera: int) -> tuple[Array, Array]:
        """Apex and inward normals [5, 3] of a square image's view pyramid, and the plane behind."""
        slope = np.tan(np.deg2rad(self._model.cam_fovy[camera]) / 2) * _WIDEN
        local = np.array(
            [[1, 0, -slope], [-1, 0, -slope], [0, 1, -slope], [0, -1, -slope], [0, 0, -1.0]]
        )
        local /= np.linalg.norm(local, axis=1, keepdims=True)
        return data.cam_xpos[camera], local @ data.cam_xmat[camera].reshape(3, 3).T

    def _inside(self, data: mujoco.MjData, origin: Array, normals: Array) -> NDArray[np.bool_]:
        """Whether each geom's box reaches to the inner side of every plane through `origin`."""
        axes = data.geom_xmat.reshape(-1, 3, 3)
        centres = data.geom_xpos + np.einsum("gij,gj->gi", axes, self._boxes[:, 0])
        along = np.einsum("gij,pi->gpj", axes, normals)
        reach = np.einsum("gpj,gj->gp", np.abs(along), self._boxes[:, 1])
        depth = (centres - origin) @ normals.T
        inside: NDArray[np.bool_] = (depth + reach > -_MARGIN_M).all(axis=1) | self._always
        return inside

    def _surface(self, data: mujoco.MjData, geom: int) -> tuple[Array, Array]:
        """A point and the normal of the face that reflects: a plane, or a box's top."""
        normal = data.geom_xmat[geom].reshape(3, 3)[:, 2]
        is_box = self._model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_BOX
        height = self._model.geom_size[geom, 2] if is_box else 0.0
        return data.geom_xpos[geom] + height * normal, normal


def _reflects(model: mujoco.MjModel) -> NDArray[np.bool_]:
    """MuJoCo reflects in opaque planes and boxes whose material has a reflectance."""
    flat = np.isin(model.geom_type, (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_BOX))
    shine = np.append(model.mat_reflectance, 0.0)[model.geom_matid]
    mask: NDArray[np.bool_] = flat & (shine > 0)
    return mask


def _mirrored(origin: Array, normals: Array, point: Array, normal: Array) -> tuple[Array, Array]:
    """A view pyramid as seen in a mirror."""
    apex = origin - 2 * np.dot(origin - point, normal) * normal
    return apex, normals - 2 * np.outer(normals @ normal, normal)
