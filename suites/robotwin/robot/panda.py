"""One Panda arm with its gripper as MJCF: robosuite's kinematics and masses, our geoms and drives.

What differs from robosuite's own: position servos instead of torque motors (so that a control step
is one call into MuJoCo), gravity compensated, primitives instead of meshes for contact, fingers
coupled by a constraint, and simplified visual meshes.
"""

import copy
from enum import StrEnum

from ..mjcf import Collides, Element, Group, Mjcf, add, colliding, numbers, visual
from . import decimation, panda_files


class Side(StrEnum):
    """Which arm; left is at negative x, as someone behind the robot sees it."""

    LEFT = "left"
    RIGHT = "right"


JOINTS = tuple(f"joint{index}" for index in range(1, 8))
HOME_QPOS = (0.0, -0.6, 0.0, -2.7, 0.0, 2.1, 0.7853981633974483)
"""Joint angles at reset, rad: the tool points straight down, 31 cm above the table."""

FINGER_TRAVEL_M = 0.04
"""Each finger's travel; the gripper's opening is twice this."""

TCP_OFFSET_M = 0.1
"""From the hand's frame to the point between the fingertips, along the approach axis."""

# Servo gains after MuJoCo Menagerie's Panda: time constant kv / kp = 0.1 s, overdamped.
_KP = (4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0)
_KV = (450.0, 450.0, 350.0, 350.0, 200.0, 200.0, 200.0)
# Joint torque limits of the real arm, N m (Franka Emika data sheet).
_TORQUE = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
MAX_JOINT_SPEED = (2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61)
"""Joint speed limits of the real arm, rad/s (Franka Emika data sheet)."""

# Grip force 25 N a finger when blocked; full stroke in about 0.4 s.
_GRIP_KP, _GRIP_KV, _GRIP_FORCE = 6000.0, 400.0, 50.0

# Contact shapes by link, in the link's frame: (type, size, pos, axis-angle), m and rad; fitted by
# eye to the extents of robosuite's collision meshes.
_HALF_PI = 1.5707963
_SHAPES: dict[str, list[tuple[str, tuple[float, ...], tuple[float, ...], tuple[float, ...]]]] = {
    "link0": [("capsule", (0.075, 0.045), (-0.04, 0, 0.06), (0, 1, 0, _HALF_PI))],
    "link1": [("capsule", (0.058, 0.11), (0, 0, -0.09), (0, 0, 1, 0))],
    "link2": [("capsule", (0.058, 0.09), (0, -0.05, 0.0), (1, 0, 0, _HALF_PI))],
    "link3": [
        ("capsule", (0.057, 0.06), (0.0, 0, -0.06), (0, 0, 1, 0)),
        ("capsule", (0.055, 0.05), (0.08, 0.03, 0), (1, 0, 0, _HALF_PI)),
    ],
    "link4": [
        ("capsule", (0.055, 0.05), (0.0, 0.0, 0.03), (0, 0, 1, 0)),
        ("capsule", (0.055, 0.04), (-0.08, 0.05, 0), (1, 0, 0, _HALF_PI)),
    ],
    "link5": [
        ("capsule", (0.055, 0.04), (0, 0, -0.21), (0, 0, 1, 0)),
        ("capsule", (0.045, 0.09), (0, 0.06, -0.11), (1, 0, 0, -0.45)),
        ("capsule", (0.05, 0.03), (0, 0.02, 0), (1, 0, 0, _HALF_PI)),
    ],
    "link6": [
        ("capsule", (0.048, 0.03), (0, 0.0, 0.0), (0, 0, 1, 0)),
        ("capsule", (0.046, 0.03), (0.085, 0.02, 0.0), (1, 0, 0, _HALF_PI)),
    ],
    "link7": [("capsule", (0.045, 0.005), (0, 0, 0.08), (0, 0, 1, 0))],
    "hand": [("box", (0.031, 0.1, 0.046), (0, 0, 0.02), (0, 0, 1, 0))],
}

# Inside of the fingertip: a flat pad. The upper finger is a second box, set back from it.
_PAD = ("pad", (0.0095, 0.005, 0.011), (0, 0.005, 0.043))
_FINGER = ("shaft", (0.0095, 0.008, 0.021), (0, 0.0155, 0.0205))
_PAD_CONTACT = {
    "friction": "1.5 0.02 0.0002",
    "condim": "4",
    "priority": "1",
    "solref": "0.01 1",
    "solimp": "0.95 0.99 0.001",
}


def add_arm(
    model: Mjcf, side: Side, pos_m: tuple[float, float, float], quat_wxyz: tuple[float, ...]
) -> None:
    """Write one arm into the model, with all names prefixed by `left_` or `right_`.

    Args:
        model: receives bodies, actuators, tendon, coupling and assets.
        side: which arm.
        pos_m: of the base, in the world.
        quat_wxyz: of the base; the arm faces its own +x.
    """
    base = bare_arm()
    base.set("pos", numbers(pos_m))
    base.set("quat", numbers(quat_wxyz))
    bits = Collides.LEFT_ARM if side is Side.LEFT else Collides.RIGHT_ARM
    for body in base.iter("body"):
        _dress(model, body, bits)
    for body in base.iter("body"):
        if body is not base:
            body.set("gravcomp", "1")
    _prefix(base, f"{side}_")
    model.section("worldbody").append(base)
    _add_drives(model, side)


def bare_arm() -> Element:
    """The arm's and gripper's bodies, joints and masses, without geoms; `tcp` is a site."""
    root = panda_files.robot_xml()
    base = next(body for body in root.iter("body") if body.get("name") == "link0")
    for parent in list(base.iter()):
        for child in list(parent):
            if child.tag in ("geom", "camera", "site"):
                parent.remove(child)
    for joint in base.iter("joint"):
        joint.set("armature", "0.1")
        joint.set("damping", "1")
    hand = next(body for body in base.iter("body") if body.get("name") == "right_hand")
    hand.set("name", "hand")
    _add_gripper(hand)
    return base


def _add_gripper(hand: Element) -> None:
    """Hang robosuite's gripper masses and finger positions below the hand's frame."""
    source = panda_files.gripper_xml()
    fingers = {
        body.get("name"): body
        for body in source.iter("body")
        if body.get("name", "").endswith("finger")
    }
    add(hand, "site", name="tcp", pos=(0, 0, TCP_OFFSET_M), size="0.005", rgba="0 0 0 0", group=4)
    for index, name in enumerate(("leftfinger", "rightfinger"), start=1):
        inertial = fingers[name].find("inertial")
        assert inertial is not None
        # robosuite turns its gripper by -90 and the fingers by +90 degrees; the hand's y axis is
        # the fingers' line, so the second finger is the first one turned round.
        turn = (1, 0, 0, 0) if index == 1 else (0, 0, 0, 1)
        pos = fingers[name].get("pos", "")
        body = add(hand, "body", name=f"finger{index}", pos=pos, quat=turn)
        body.append(copy.deepcopy(inertial))
        add(
            body,
            "joint",
            name=f"finger_joint{index}",
            type="slide",
            axis=(0, 1, 0),
            range=(0, FINGER_TRAVEL_M),
            limited=True,
            armature=0.2,
            damping=5,
        )


def _dress(model: Mjcf, body: Element, bits: Collides) -> None:
    """Give a body its contact shapes and its visual meshes."""
    name = body.get("name", "")
    contact = colliding(bits) | {"group": str(int(Group.COLLISION)), "mass": "0"}
    if name.startswith("finger"):
        for label, finger_size, finger_pos in (_PAD, _FINGER):
            extra = _PAD_CONTACT if label == "pad" else {}
            shape = {"type": "box", "size": finger_size, "pos": finger_pos}
            add(body, "geom", name=f"{name}_{label}", **shape, **(contact | extra))
    for index, (kind, size, pos, turn) in enumerate(_SHAPES.get(name, [])):
        add(
            body,
            "geom",
            name=f"{name}_shape{index}",
            type=kind,
            size=size,
            pos=pos,
            axisangle=turn,
            **contact,
        )
    for part in panda_files.visual_parts().get("finger" if name.startswith("finger") else name, ()):
        mesh = _add_mesh(model, part)
        add(body, "geom", type="mesh", mesh=mesh, material=_material(model, part), **visual())


def _add_mesh(model: Mjcf, part: panda_files.VisualPart) -> str:
    name = f"panda_{part.name.replace('.', '_')}"
    file = f"{name}.stl"
    if file not in model.files:
        model.files[file] = decimation.stl_bytes(part.triangles)
        add(model.section("asset"), "mesh", name=name, file=file)
    return name


def _material(model: Mjcf, part: panda_files.VisualPart) -> str:
    name = "panda_light" if part.rgba[0] > 0.5 else "panda_dark"
    asset = model.section("asset")
    if all(item.get("name") != name for item in asset.findall("material")):
        add(asset, "material", name=name, rgba=part.rgba, specular=0.4, shininess=0.5)
    return name


def _prefix(base: Element, prefix: str) -> None:
    for element in base.iter():
        if "name" in element.attrib:
            element.set("name", prefix + element.attrib["name"])


def _add_drives(model: Mjcf, side: Side) -> None:
    actuators = model.section("actuator")
    ranges = {joint.get("name"): joint.get("range", "") for joint in model.root.iter("joint")}
    for name, kp, kv, torque in zip(JOINTS, _KP, _KV, _TORQUE, strict=True):
        joint = f"{side}_{name}"
        add(
            actuators,
            "position",
            name=joint,
            joint=joint,
            kp=kp,
            kv=kv,
            forcerange=(-torque, torque),
            ctrlrange=ranges[joint],
        )
    first, second = f"{side}_finger_joint1", f"{side}_finger_joint2"
    tendon = add(model.section("tendon"), "fixed", name=f"{side}_grip")
    add(tendon, "joint", joint=first, coef=0.5)
    add(tendon, "joint", joint=second, coef=0.5)
    add(
        actuators,
        "position",
        name=f"{side}_grip",
        tendon=f"{side}_grip",
        kp=_GRIP_KP,
        kv=_GRIP_KV,
        forcerange=(-_GRIP_FORCE, _GRIP_FORCE),
        ctrlrange=(0, FINGER_TRAVEL_M),
    )
    add(
        model.section("equality"),
        "joint",
        joint1=first,
        joint2=second,
        polycoef=(0, 1, 0, 0, 0),
        solref=(0.005, 1),
        solimp=(0.95, 0.99, 0.001),
    )


def limits() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Lower and upper joint limits, rad."""
    pairs = [
        [float(word) for word in joint.get("range", "").split()]
        for joint in bare_arm().iter("joint")
        if joint.get("name") in JOINTS
    ]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
