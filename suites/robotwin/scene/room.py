"""The scene without a task: floor, table, two arms, lights, cameras, and solver settings."""

from dataclasses import dataclass

import numpy as np

from ..config import RobotwinConfig
from ..mjcf import Collides, Element, Mjcf, add, colliding, visual
from ..robot.panda import Side, add_arm
from . import textures

CONTROL_HZ = 20.0
TIMESTEP_S = 0.0025
SUBSTEPS = 20
assert abs(SUBSTEPS * TIMESTEP_S * CONTROL_HZ - 1) < 1e-12

TABLE_TOP_M = 0.74
"""Height of the table top above the floor, as in RoboTwin."""
TABLE_SIZE_M = (1.2, 0.7, 0.05)

BASE_X_M, BASE_Y_M = 0.30, -0.50
"""Where the arms stand, in the table frame. RoboTwin's Pandas: 0.3 and -0.65."""

_FACING_Y = (0.7071067811865476, 0.0, 0.0, 0.7071067811865476)


def base_pos(side: Side) -> tuple[float, float, float]:
    """An arm's base in the table frame."""
    return (-BASE_X_M if side is Side.LEFT else BASE_X_M, BASE_Y_M, 0.0)


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of the scene; `body` None means that it stands in the room."""

    name: str
    body: str | None
    pos: tuple[float, ...]
    xyaxes: tuple[float, ...]
    fovy_deg: float


def cameras() -> tuple[Camera, ...]:
    """The head camera, a camera on each wrist, and the front camera for videos."""
    # Beside the hand, looking past the fingertips: up in the image is the hand's +x.
    tilt = np.deg2rad(25)
    wrist = ((0.085, 0.0, 0.035), (0, 1, 0, np.cos(tilt), 0, np.sin(tilt)), 66.0)
    return (
        Camera("head_camera", None, (0.0, -0.44, 1.56), (1, 0, 0, 0, 0.88, 0.47), 48.0),
        Camera("left_camera", "left_hand", *wrist),
        Camera("right_camera", "right_hand", *wrist),
        Camera("front_camera", None, (0.0, 1.25, 1.55), (-1, 0, 0, 0, -0.43, 0.90), 48.0),
    )


def build_room(config: RobotwinConfig, name: str) -> Mjcf:
    """Everything but the task's objects. Bodies of the task go to world coordinates."""
    model = Mjcf.empty(name)
    model.section("compiler").attrib.update(angle="radian", autolimits="true")
    # Fewer line-search iterations (10 were tried) leave a grasp unsolved now and then, and the
    # block shoots out of the hand.
    add(
        model.root,
        "option",
        timestep=TIMESTEP_S,
        integrator="implicitfast",
        cone="elliptic",
        impratio=10,
        iterations=50,
        ls_iterations=50,
        tolerance=1e-8,
    )
    _add_visual_settings(model, config)
    _add_furniture(model)
    for side in Side:
        x, y, z = base_pos(side)
        add_arm(model, side, (x, y, z + TABLE_TOP_M), _FACING_Y)
    _add_cameras(model)
    return model


def _add_visual_settings(model: Mjcf, config: RobotwinConfig) -> None:
    look = model.section("visual")
    add(
        look,
        "global",
        offwidth=max(config.camera_width, config.video_width),
        offheight=max(config.camera_height, config.video_height),
    )
    add(look, "quality", shadowsize=512, offsamples=4)
    add(
        look,
        "headlight",
        ambient=(0.38, 0.38, 0.38),
        diffuse=(0.12, 0.12, 0.12),
        specular=(0, 0, 0),
    )
    add(look, "map", znear=0.01, zfar=10, shadowclip=1.0, shadowscale=0.5)
    model.section("statistic").attrib.update(extent="1", center="0 0 0.8")


def _add_texture(model: Mjcf, name: str, image: textures.Image, repeat: tuple[float, float]) -> str:
    model.files[f"{name}.texture"] = textures.texture_file(image)
    asset = model.section("asset")
    add(asset, "texture", name=name, type="2d", file=f"{name}.texture")
    add(asset, "material", name=name, texture=name, texrepeat=repeat, specular=0.2, shininess=0.3)
    return name


def _add_sky(model: Mjcf) -> None:
    add(
        model.section("asset"),
        "texture",
        name="sky",
        type="skybox",
        builtin="gradient",
        rgb1=(0.86, 0.88, 0.90),
        rgb2=(0.55, 0.58, 0.62),
        width=32,
        height=192,
    )


def _add_furniture(model: Mjcf) -> None:
    world = model.section("worldbody")
    wood = _add_texture(model, "table_wood", textures.wood(), (1, 1))
    _add_sky(model)
    floor = _add_texture(model, "floor_tiles", textures.tiles(), (6, 6))
    _add_lights(world)
    # What falls off the table comes to rest: a body that falls for ever spins itself to pieces.
    add(
        world,
        "geom",
        name="floor",
        type="plane",
        size=(2.5, 2.5, 0.1),
        material=floor,
        **colliding(Collides.THINGS),
    )
    _add_table(world, wood)
    _add_stands(world)


def _add_lights(world: Element) -> None:
    add(
        world,
        "light",
        name="sun",
        directional=True,
        castshadow=True,
        pos=(0.4, 0.2, 2.6),
        dir=(-0.25, -0.12, -1),
        diffuse=(0.55, 0.54, 0.52),
        specular=(0.25, 0.25, 0.25),
    )
    add(
        world,
        "light",
        name="fill",
        directional=True,
        castshadow=False,
        pos=(-1.2, -1, 2),
        dir=(0.6, 0.5, -0.6),
        diffuse=(0.18, 0.19, 0.21),
        specular=(0, 0, 0),
    )


def _add_table(world: Element, wood: str) -> None:
    wide, deep, thick = TABLE_SIZE_M
    top = (wide / 2, deep / 2, thick / 2)
    add(
        world,
        "geom",
        name="table",
        type="box",
        size=top,
        pos=(0, 0, TABLE_TOP_M - thick / 2),
        material=wood,
        friction=(1.0, 0.01, 0.0001),
        **colliding(Collides.THINGS),
    )
    for index, (x, y) in enumerate(((-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0))):
        add(
            world,
            "geom",
            name=f"leg{index}",
            type="box",
            rgba=(0.35, 0.33, 0.31, 1),
            size=(0.025, 0.025, (TABLE_TOP_M - thick) / 2),
            pos=(x * (wide / 2 - 0.05), y * (deep / 2 - 0.05), (TABLE_TOP_M - thick) / 2),
            **visual(),
        )


def _add_stands(world: Element) -> None:
    for side in Side:
        x, y, _ = base_pos(side)
        add(
            world,
            "geom",
            name=f"{side}_stand",
            type="box",
            rgba=(0.30, 0.31, 0.34, 1),
            size=(0.09, 0.11, TABLE_TOP_M / 2),
            pos=(x, y - 0.03, TABLE_TOP_M / 2),
            **visual(),
        )


def _add_cameras(model: Mjcf) -> None:
    bodies = {body.get("name"): body for body in model.root.iter("body")}
    for camera in cameras():
        parent = model.section("worldbody") if camera.body is None else bodies[camera.body]
        add(
            parent,
            "camera",
            name=camera.name,
            pos=camera.pos,
            xyaxes=camera.xyaxes,
            fovy=camera.fovy_deg,
        )
