"""Parts that tasks build their objects from."""

from ..mjcf import Collides, Element, Mjcf, add, colliding

OBJECT_CONTACT = colliding(Collides.THINGS) | {
    "friction": "1.0 0.01 0.0001",
    "condim": "4",
    "solref": "0.01 1",
    "solimp": "0.95 0.99 0.001",
}
"""Attributes of a geom that is grasped or stood upon."""


def fixed_body(model: Mjcf, name: str) -> Element:
    """A body that nothing moves, but whose pose a layout sets (a mocap body)."""
    return add(model.section("worldbody"), "body", name=name, mocap=True)


def free_body(model: Mjcf, name: str) -> Element:
    """A body that moves freely; its joint is `<name>_free`."""
    body = add(model.section("worldbody"), "body", name=name)
    add(body, "freejoint", name=f"{name}_free")
    return body


def add_block(
    model: Mjcf,
    name: str,
    half_m: tuple[float, float, float],
    rgba: tuple[float, ...],
    mass_kg: float,
) -> Element:
    """A free box with the body's frame at its centre."""
    body = free_body(model, name)
    add(body, "geom", name=name, type="box", size=half_m, rgba=rgba, mass=mass_kg, **OBJECT_CONTACT)
    return body
