"""Fewer triangles for the robot's visual meshes: software rendering is bound by triangles.

Vertex clustering on a grid, with each cluster's vertex placed at the minimum of its quadric error
(Lindstrom, "Out-of-core simplification of large polygonal models", SIGGRAPH 2000).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Triangles = NDArray[np.float64]
"""Triangle soup, [T, 3 corners, 3 coordinates], m."""

# Pulls a cluster's vertex towards the mean where the surface leaves it free (flat or straight).
_MEAN_WEIGHT = 1e-3


def read_obj(path: Path) -> Triangles:
    """The triangles of a Wavefront OBJ file whose faces are all triangles."""
    vertices: list[list[float]] = []
    faces: list[list[int]] = []
    for line in path.read_text().splitlines():
        if line.startswith("v "):
            vertices.append([float(word) for word in line.split()[1:4]])
        elif line.startswith("f "):
            faces.append([int(word.split("/", 1)[0]) - 1 for word in line.split()[1:4]])
    return np.asarray(vertices, np.float64)[np.asarray(faces, np.int64)]


def read_stl(path: Path) -> Triangles:
    """The triangles of a binary STL file."""
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("pad", "<u2")])
    return np.frombuffer(path.read_bytes()[84:], record)["corners"].astype(np.float64)


def stl_bytes(triangles: Triangles) -> bytes:
    """A binary STL file's content."""
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("pad", "<u2")])
    out = np.zeros(len(triangles), record)
    out["corners"] = triangles
    return bytes(80) + np.uint32(len(triangles)).tobytes() + out.tobytes()


def simplify(triangles: Triangles, cell_m: float) -> Triangles:
    """Merge all vertices that share a grid cell of `cell_m`; drop triangles that collapse."""
    points = triangles.reshape(-1, 3)
    # The offset keeps symmetric parts from having vertices exactly on cell borders.
    cells = np.floor(points / cell_m + 0.3137).astype(np.int64)
    _, cluster = np.unique(cells, axis=0, return_inverse=True)
    cluster = cluster.reshape(-1)
    merged = _representatives(triangles, cluster, cell_m)
    corner = cluster.reshape(-1, 3)
    first, second, third = corner.T
    kept = corner[(first != second) & (second != third) & (first != third)]
    if not len(kept):
        return np.empty((0, 3, 3))
    _, unique = np.unique(np.sort(kept, axis=1), axis=0, return_index=True)
    return np.asarray(merged[kept[np.sort(unique)]])


def _representatives(
    triangles: Triangles, cluster: NDArray[np.int64], cell_m: float
) -> NDArray[np.float64]:
    points = triangles.reshape(-1, 3)
    count = int(cluster.max()) + 1
    number = np.bincount(cluster, minlength=count)
    mean = np.stack(
        [np.bincount(cluster, points[:, axis], count) / number for axis in range(3)], axis=1
    )
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(normal, axis=1, keepdims=True)
    unit = np.repeat(normal / np.maximum(area, 1e-15), 3, axis=0)
    weight = np.repeat(area[:, 0], 3)
    # Sum over triangles of area * (n . x - n . p)^2, with x relative to the cluster's mean.
    distance = np.einsum("ij,ij->i", unit, points - mean[cluster])
    matrix, vector = np.zeros((count, 3, 3)), np.zeros((count, 3))
    np.add.at(matrix, cluster, weight[:, None, None] * unit[:, :, None] * unit[:, None, :])
    np.add.at(vector, cluster, (weight * distance)[:, None] * unit)
    trace = np.trace(matrix, axis1=1, axis2=2)[:, None, None]
    matrix += (_MEAN_WEIGHT * trace + 1e-15) * np.eye(3)
    shift = np.linalg.solve(matrix, vector[:, :, None])[:, :, 0]
    return np.asarray(mean + np.clip(shift, -cell_m / 2, cell_m / 2))
