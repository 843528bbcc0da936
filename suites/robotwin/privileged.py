"""What teachers and probes may ask for: depth, segmentation, cameras, object poses."""

from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import CameraMatrices, CameraSpec
from sfbench.errors import UsageError
from sfbench.sim.offscreen import OffscreenRenderer

from .pose import Array
from .robot.panda import Side
from .scene.room import TABLE_TOP_M
from .scene.view import Scene

FURNITURE = ("table", "floor")
"""Parts of the room that segmentation names; an arm counts with its stand."""

# OpenCV looks along +z with y down, MuJoCo along -z with y up.
_FLIP = np.diag([1.0, -1.0, -1.0])


class ObjectIndex:
    """Which named object every geom belongs to: arms, furniture, and bodies of the task."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.bodies = tuple(_task_bodies(model))
        arms = tuple(f"{side}_arm" for side in Side)
        self.names: tuple[str, ...] = (*arms, *FURNITURE, *self.bodies)
        owners = [self._owner(model, geom) for geom in range(model.ngeom)]
        # The last entry serves geom id -1, which segmentation gives where nothing is seen.
        self._of_geom = np.array([*owners, -1], np.int32)

    def of_geoms(self, geom_ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Index into `names` for each geom id."""
        return self._of_geom[geom_ids]

    def _owner(self, model: mujoco.MjModel, geom: int) -> int:
        root = int(model.body_rootid[model.geom_bodyid[geom]])
        name = model.body(root).name if root else model.geom(geom).name
        label = _ROOM_PARTS.get(name, "table" if name.startswith("leg") else name)
        return self.names.index(label)


_ROOM_PARTS = {f"{side}_{part}": f"{side}_arm" for side in Side for part in ("link0", "stand")}


def _task_bodies(model: mujoco.MjModel) -> list[str]:
    """Bodies that hang on the world, without the arms."""
    names = [model.body(index).name for index in range(1, model.nbody) if not _parent(model, index)]
    return [name for name in names if name not in _ROOM_PARTS]


def _parent(model: mujoco.MjModel, body: int) -> int:
    return int(model.body_parentid[body])


def depth_m(renderer: OffscreenRenderer, scene: Scene, camera: CameraSpec) -> NDArray[np.float32]:
    """Distance along the camera's axis, m; inf where nothing is seen."""
    index = int(scene.model.camera(camera.name).id)
    return _or_inf(renderer.depth_m(scene.data, index, camera.height, camera.width), scene)


def segmentation(
    renderer: OffscreenRenderer, scene: Scene, camera: CameraSpec, objects: ObjectIndex
) -> NDArray[np.int32]:
    """Index of the object at every pixel, -1 for none."""
    index = int(scene.model.camera(camera.name).id)
    geoms = renderer.segmentation(scene.data, index, camera.height, camera.width)
    return objects.of_geoms(geoms)


def camera_matrices(scene: Scene, camera: CameraSpec) -> CameraMatrices:
    """The camera's projection and place, in the table frame."""
    scene.refresh()
    fovy_rad = np.deg2rad(float(scene.model.camera(camera.name).fovy[0]))
    focal_px = camera.height / 2 / np.tan(fovy_rad / 2)
    found = scene.data.camera(camera.name)
    to_world = np.eye(4)
    to_world[:3, :3] = found.xmat.reshape(3, 3) @ _FLIP
    to_world[:3, 3] = found.xpos - (0.0, 0.0, TABLE_TOP_M)
    intrinsics = np.array(
        [[focal_px, 0, camera.width / 2], [0, focal_px, camera.height / 2], [0, 0, 1]]
    )
    return CameraMatrices(intrinsics, to_world)


def look_from(
    renderer: OffscreenRenderer, scene: Scene, camera: CameraMatrices, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Image and depth from any place; see `sfbench.contracts.PosableEnv`."""
    height, width = size
    buffer = scene.model.vis.global_
    if not (0 < height <= buffer.offheight and 0 < width <= buffer.offwidth):
        raise UsageError(
            f"a picture of {width} x {height} px: allowed up to {buffer.offwidth} x "
            f"{buffer.offheight}; see suite.video_width and suite.video_height"
        )
    focal_px = camera.intrinsics[1, 1]
    plain = [[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]]
    if not np.allclose(camera.intrinsics, plain):
        raise UsageError("cameras need square pixels, and their axis in the middle of the picture")
    out = np.empty((height, width, 3), np.uint8)
    with _lent_camera(scene, camera.to_world, 2 * np.arctan(height / 2 / focal_px)) as index:
        renderer.rgb(scene.data, index, out)
        metres = _or_inf(renderer.depth_m(scene.data, index, height, width), scene)
    return np.ascontiguousarray(out[::-1]), metres


@contextmanager
def _lent_camera(scene: Scene, to_world: Array, fovy_rad: float) -> Iterator[int]:
    """A camera of the scene at another place, put back afterwards.

    Its place is in the Env's own data; its field of view in the model, which others share, but
    nobody draws meanwhile.
    """
    index, data, model = 0, scene.data, scene.model
    before = data.cam_xpos[index].copy(), data.cam_xmat[index].copy(), model.cam_fovy[index]
    data.cam_xpos[index] = to_world[:3, 3] + (0.0, 0.0, TABLE_TOP_M)
    data.cam_xmat[index] = (to_world[:3, :3] @ _FLIP).ravel()
    model.cam_fovy[index] = np.rad2deg(fovy_rad)
    try:
        yield index
    finally:
        data.cam_xpos[index], data.cam_xmat[index], model.cam_fovy[index] = before


def _or_inf(metres: NDArray[np.float32], scene: Scene) -> NDArray[np.float32]:
    """A copy with inf where nothing is seen."""
    far_m = scene.model.vis.map.zfar * scene.model.stat.extent
    return np.where(metres > 0.999 * far_m, np.float32(np.inf), metres)


def object_poses(scene: Scene, objects: ObjectIndex) -> dict[str, Array]:
    """Poses of the task's bodies in the table frame: position (m), quaternion (wxyz)."""
    poses = {name: scene.pose(name) for name in objects.bodies}
    return {name: np.concatenate([pose.pos, pose.quat]) for name, pose in poses.items()}
