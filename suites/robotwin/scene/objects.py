"""Parts that tasks build their objects from."""

from collections.abc import Sequence

import numpy as np

from ..mjcf import Collides, Element, Mjcf, add, colliding, visual
from ..pose import yaw_quat
from ..robot.decimation import stl_bytes
from .shapes import lathe

OBJECT_CONTACT = colliding(Collides.THINGS) | {
    "friction": "1.0 0.01 0.0001",
    "condim": "4",
    "solref": "0.01 1",
    "solimp": "0.95 0.99 0.001",
}
"""Attributes of a geom that is grasped or stood upon."""

HIDDEN = {"group": "3"}
"""Attributes of a contact geom that another geom shows."""


def fixed_body(model: Mjcf, name: str) -> Element:
    """A body that nothing moves, but whose pose a layout sets (a mocap body)."""
    return add(model.section("worldbody"), "body", name=name, mocap=True)


def free_body(model: Mjcf, name: str) -> Element:
    """A body that moves freely; its joint is `<name>_free`."""
    body = add(model.section("worldbody"), "body", name=name)
    add(body, "freejoint", name=f"{name}_free")
    return body


def add_box(
    body: Element, half_m: Sequence[float], rgba: Sequence[float], **attributes: object
) -> Element:
    """A box that is seen and touched; `mass` in kg and `pos` in m may be given."""
    return add(body, "geom", type="box", size=half_m, rgba=rgba, **(OBJECT_CONTACT | attributes))


def add_wall_ring(
    body: Element,
    radius_m: float,
    thickness_m: float,
    heights_m: tuple[float, float],
    mass_kg: float,
) -> None:
    """The contact shape of a round wall: boxes in a ring, hidden.

    Args:
        body: that gets the boxes.
        radius_m: of the outside.
        thickness_m: of the wall.
        heights_m: of its lower and upper rim.
        mass_kg: of the whole ring.
    """
    count = 12
    low, high = heights_m
    middle = radius_m - thickness_m / 2
    half = (thickness_m / 2, radius_m * np.tan(np.pi / count), (high - low) / 2)
    for index in range(count):
        angle = 2 * np.pi * index / count
        pos = (middle * np.cos(angle), middle * np.sin(angle), (low + high) / 2)
        add(
            body,
            "geom",
            type="box",
            size=half,
            pos=pos,
            quat=yaw_quat(angle),
            mass=mass_kg / count,
            **(OBJECT_CONTACT | HIDDEN),
        )


def add_feet(body: Element, radius_m: float, mass_kg: float) -> None:
    """Four small balls to stand on, in a ring, hidden; they reach down to the body's z = 0.

    A round base of many boxes would rest on dozens of contacts; this one rests on four.
    """
    for index in range(4):
        angle = np.pi / 4 + index * np.pi / 2
        pos = (radius_m * np.cos(angle), radius_m * np.sin(angle), 0.004)
        add(
            body,
            "geom",
            type="sphere",
            size=0.004,
            pos=pos,
            mass=mass_kg / 4,
            **(OBJECT_CONTACT | HIDDEN),
        )


def add_lathe(
    model: Mjcf, body: Element, profile: Sequence[tuple[float, float]], material: str
) -> None:
    """Show a surface of revolution about the body's z axis; see `shapes.lathe`."""
    name = f"{body.get('name')}_lathe{len(body)}"
    model.files[f"{name}.stl"] = stl_bytes(lathe(profile, 28))
    add(model.section("asset"), "mesh", name=name, file=f"{name}.stl")
    add(body, "geom", type="mesh", mesh=name, material=material, **visual())


def add_material(
    model: Mjcf, name: str, rgba: Sequence[float], specular: float = 0.3, shininess: float = 0.4
) -> str:
    """A plain material; returns its name."""
    asset = model.section("asset")
    add(asset, "material", name=name, rgba=rgba, specular=specular, shininess=shininess)
    return name
