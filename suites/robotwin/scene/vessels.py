"""Bottles, cans, bowls and plates: round things, seen as surfaces of revolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from ..expert.grasps import pointing
from ..mjcf import Element, Mjcf, add
from ..pose import Array, Pose, yaw_quat
from .objects import (
    HIDDEN,
    OBJECT_CONTACT,
    add_feet,
    add_lathe,
    add_material,
    fixed_body,
    free_body,
)

HIDDEN_BOX = {"rgba": (0.5, 0.5, 0.5, 1), **HIDDEN}


def add_prism(
    body: Element, radius_m: float, heights_m: tuple[float, float], mass_kg: float
) -> None:
    """The contact shape of a solid round bar along z: four boxes that make an octagon, hidden.

    Args:
        body: that gets the boxes.
        radius_m: from the axis to the octagon's flats.
        heights_m: of its lower and upper end.
        mass_kg: of the whole.
    """
    low, high = heights_m
    half = (radius_m, radius_m * np.tan(np.pi / 8), (high - low) / 2)
    for index in range(4):
        add(
            body,
            "geom",
            type="box",
            size=half,
            pos=(0, 0, (low + high) / 2),
            quat=yaw_quat(index * np.pi / 4),
            mass=mass_kg / 4,
            **(OBJECT_CONTACT | HIDDEN),
        )


@dataclass(frozen=True, slots=True)
class Bottle:
    """A bottle that is held by its neck; the body's frame is at the middle of its foot."""

    radius_m: float = 0.028
    shoulder_m: float = 0.092
    neck_radius_m: float = 0.013
    height_m: float = 0.150
    grip_m: float = 0.128
    """Height at which the neck is held."""

    def add(self, model: Mjcf, name: str, rgba: Sequence[float], cap: Sequence[float]) -> Element:
        """Write a free body that stands on four hidden feet."""
        glass = add_material(model, f"{name}_glass", rgba, specular=0.7, shininess=0.7)
        plain = add_material(model, f"{name}_cap", cap)
        body = free_body(model, name)
        add_prism(body, self.radius_m, (0.002, self.shoulder_m), mass_kg=0.07)
        add_prism(body, self.neck_radius_m, (self.shoulder_m, self.height_m), mass_kg=0.01)
        add_feet(body, self.radius_m - 0.007, mass_kg=0.02)
        wide, narrow, top = self.radius_m, self.neck_radius_m, self.height_m
        outline = [
            (0, 0),
            (wide - 0.003, 0),
            (wide, 0.004),
            (wide, self.shoulder_m - 0.012),
            (wide - 0.003, self.shoulder_m - 0.004),
            (narrow, self.shoulder_m + 0.014),
            (narrow, top - 0.018),
            (0, top - 0.018),
        ]
        add_lathe(model, body, outline, glass)
        lid = [(0, top - 0.018), (narrow, top - 0.018), (narrow, top - 0.001), (0, top)]
        add_lathe(model, body, lid, plain)
        return body


@dataclass(frozen=True, slots=True)
class Can:
    """A tin can; the body's frame is at the middle of its foot."""

    radius_m: float = 0.031
    height_m: float = 0.095

    def add(self, model: Mjcf, name: str, rgba: Sequence[float]) -> Element:
        """Write a free body that stands on four hidden feet."""
        label = add_material(model, f"{name}_label", rgba)
        tin = add_material(model, f"{name}_tin", (0.74, 0.75, 0.77, 1), specular=0.8)
        body = free_body(model, name)
        add_prism(body, self.radius_m, (0.002, self.height_m), mass_kg=0.13)
        add_feet(body, self.radius_m - 0.008, mass_kg=0.02)
        radius, top = self.radius_m, self.height_m
        add_lathe(
            model,
            body,
            [(0, 0.008), (radius, 0.008), (radius, top - 0.008), (0, top - 0.008)],
            label,
        )
        for low in (0.0, top - 0.008):
            rim = [(0, low), (radius - 0.001, low), (radius - 0.001, low + 0.008), (0, low + 0.008)]
            add_lathe(model, body, rim, tin)
        return body


@dataclass(frozen=True, slots=True)
class Bowl:
    """A bowl with a foot, whose wall leans outward; the body's frame is at the middle of its foot.

    Two of them nest: the upper one's foot stands on the lower one's floor, `floor_m` up.
    """

    lean_rad: float = np.deg2rad(25)
    wall_m: float = 0.004
    foot_radius_m: float = 0.030
    foot_m: float = 0.012
    """Height at which the wall begins."""
    base_radius_m: float = 0.040
    """Outer radius of the wall where it begins."""
    floor_m: float = 0.022
    """Height of the inner floor."""
    height_m: float = 0.062
    grip_depth_m: float = 0.011
    """How far below the rim the tool point holds the wall."""

    @property
    def rim_radius_m(self) -> float:
        """Outer radius at the top."""
        return self.base_radius_m + (self.height_m - self.foot_m) * float(np.tan(self.lean_rad))

    def add(self, model: Mjcf, name: str, rgba: Sequence[float]) -> Element:
        """Write a free body that stands on four hidden feet."""
        glaze = add_material(model, f"{name}_glaze", rgba, specular=0.7, shininess=0.7)
        body = free_body(model, name)
        self._add_wall(body)
        add_feet(body, self.foot_radius_m - 0.006, mass_kg=0.01)
        thick = self.floor_m - 0.004
        add(
            body,
            "geom",
            type="cylinder",
            size=(self.foot_radius_m, thick / 2),
            pos=(0, 0, self.floor_m - thick / 2),
            mass=0.03,
            **(OBJECT_CONTACT | HIDDEN),
        )
        add_lathe(model, body, self._outline(), glaze)
        return body

    def _add_wall(self, body: Element) -> None:
        count = 12
        length = (self.height_m - self.foot_m) / np.cos(self.lean_rad)
        middle = (self.base_radius_m + self.rim_radius_m) / 2 - self.wall_m / 2
        half = (self.wall_m / 2, self.rim_radius_m * np.tan(np.pi / count), length / 2)
        lean = np.array([np.cos(self.lean_rad / 2), 0.0, np.sin(self.lean_rad / 2), 0.0])
        for index in range(count):
            angle = 2 * np.pi * index / count
            quat = np.empty(4)
            mujoco.mju_mulQuat(quat, yaw_quat(angle), lean)
            height = (self.foot_m + self.height_m) / 2
            add(
                body,
                "geom",
                type="box",
                size=half,
                pos=(middle * np.cos(angle), middle * np.sin(angle), height),
                quat=quat,
                mass=0.05 / count,
                **(OBJECT_CONTACT | HIDDEN),
            )

    def _outline(self) -> list[tuple[float, float]]:
        rim, thick = self.rim_radius_m, self.wall_m / float(np.cos(self.lean_rad))
        inside = self.base_radius_m + (self.floor_m - self.foot_m) * float(np.tan(self.lean_rad))
        return [
            (0, 0.002),
            (self.foot_radius_m - 0.004, 0.002),
            (self.foot_radius_m - 0.003, 0),
            (self.foot_radius_m, 0),
            (self.foot_radius_m, self.foot_m - 0.002),
            (self.base_radius_m, self.foot_m),
            (rim, self.height_m),
            (rim - thick, self.height_m),
            (inside - thick, self.floor_m),
            (0, self.floor_m),
        ]

    def grasps(self, bowl: Pose) -> list[Pose]:
        """Tool poses that hold the wall at the rim, one finger inside, with the tool leaning."""
        return [self._grasp(bowl, turn, sign) for turn in range(12) for sign in (-1.0, 1.0)]

    def _grasp(self, bowl: Pose, turn: int, sign: float) -> Pose:
        angle = bowl.yaw() + turn * np.pi / 6
        outward: Array = np.array([np.cos(angle), np.sin(angle), 0.0])
        up = np.array([0.0, 0.0, 1.0])
        approach = -np.sin(self.lean_rad) * outward - np.cos(self.lean_rad) * up
        across = np.cos(self.lean_rad) * outward - np.sin(self.lean_rad) * up
        rim = bowl.pos + (self.rim_radius_m - self.wall_m / 2) * outward + self.height_m * up
        return Pose.of(rim + self.grip_depth_m * approach, pointing(approach, sign * across))


PLATE_RADIUS_M, PLATE_HEIGHT_M = 0.085, 0.006
"""Of the flat part that things stand on."""


def add_plate(model: Mjcf, name: str, rgba: Sequence[float]) -> Element:
    """A flat plate that is fixed to the table; its frame is at the table's height."""
    glaze = add_material(model, f"{name}_glaze", rgba, specular=0.7, shininess=0.7)
    body = fixed_body(model, name)
    radius, top = PLATE_RADIUS_M, PLATE_HEIGHT_M
    shape = {"type": "cylinder", "size": (radius, top / 2), "pos": (0, 0, top / 2)}
    add(body, "geom", **shape, **(OBJECT_CONTACT | HIDDEN))
    outline = [
        (0, 0),
        (radius - 0.02, 0),
        (radius + 0.012, top + 0.004),
        (radius + 0.010, top + 0.007),
        (radius - 0.012, top),
        (0, top),
    ]
    add_lathe(model, body, outline, glaze)
    return body
