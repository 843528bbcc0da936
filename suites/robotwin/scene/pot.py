"""A cooking pot with two handles."""

from ..mjcf import Element, Mjcf, add
from .objects import (
    HIDDEN,
    OBJECT_CONTACT,
    add_box,
    add_feet,
    add_lathe,
    add_material,
    add_wall_ring,
)

RADIUS_M, _HEIGHT_M, _WALL_M = 0.090, 0.085, 0.006
HANDLE_HEIGHT_M = 0.068
_HANDLE_REACH_M = 0.045
"""How far the handles stand out from the wall."""
GRASP_M = RADIUS_M + 0.030
"""From the pot's axis to where a handle is held."""


def write_pot(model: Mjcf, pot: Element) -> None:
    """Make a body a hollow pot on four hidden feet, with a handle at its -x and +x sides."""
    enamel = add_material(model, "enamel", (0.17, 0.33, 0.55, 1), specular=0.7, shininess=0.7)
    add_wall_ring(pot, RADIUS_M, _WALL_M, (0.002, _HEIGHT_M), mass_kg=0.30)
    add_feet(pot, RADIUS_M - 0.008, mass_kg=0.02)
    add(
        pot,
        "geom",
        type="cylinder",
        size=(RADIUS_M - _WALL_M / 2, 0.003),
        pos=(0, 0, 0.005),
        mass=0.12,
        **(OBJECT_CONTACT | HIDDEN),
    )
    inner, outer = RADIUS_M - _WALL_M, RADIUS_M
    outline = [
        (0, 0),
        (outer - 0.008, 0),
        (outer, 0.010),
        (outer, _HEIGHT_M - 0.004),
        (outer + 0.004, _HEIGHT_M),
        (inner, _HEIGHT_M),
        (inner, 0.012),
        (0, 0.008),
    ]
    add_lathe(model, pot, outline, enamel)
    black = (0.11, 0.11, 0.12, 1)
    for sign in (-1, 1):
        for tangential in (-0.020, 0.020):
            centre = (
                sign * (RADIUS_M + _HANDLE_REACH_M / 2 - 0.004),
                tangential,
                HANDLE_HEIGHT_M,
            )
            add_box(pot, (_HANDLE_REACH_M / 2, 0.006, 0.009), black, pos=centre, mass=0.015)
        bar = (sign * (RADIUS_M + _HANDLE_REACH_M - 0.010), 0, HANDLE_HEIGHT_M)
        add_box(pot, (0.006, 0.014, 0.009), black, pos=bar, mass=0.01)
