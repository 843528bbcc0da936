"""What teachers and probes may ask for: depth, segmentation, camera matrices, object poses."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from sfbench.contracts import CameraMatrices, CameraSpec
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
    metres = renderer.depth_m(scene.data, index, camera.height, camera.width).copy()
    far_m = scene.model.vis.map.zfar * scene.model.stat.extent
    metres[metres > 0.999 * far_m] = np.inf
    return metres


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


def object_poses(scene: Scene, objects: ObjectIndex) -> dict[str, Array]:
    """Poses of the task's bodies in the table frame: position (m), quaternion (wxyz)."""
    poses = {name: scene.pose(name) for name in objects.bodies}
    return {name: np.concatenate([pose.pos, pose.quat]) for name, pose in poses.items()}
