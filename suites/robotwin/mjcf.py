"""A MuJoCo model under construction: XML sections, files in memory, and collision groups."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from xml.etree import ElementTree as ET

import mujoco

Element = ET.Element


class Collides(IntEnum):
    """Contact bits. Things touch everything; an arm touches things and the other arm only."""

    THINGS = 1
    LEFT_ARM = 2
    RIGHT_ARM = 4


_TOUCHES = {
    Collides.THINGS: Collides.THINGS | Collides.LEFT_ARM | Collides.RIGHT_ARM,
    Collides.LEFT_ARM: Collides.RIGHT_ARM,
    Collides.RIGHT_ARM: Collides.LEFT_ARM,
}


class Group(IntEnum):
    """Geom groups: 0 to 2 are drawn, from 3 on they are hidden."""

    VISUAL = 1
    COLLISION = 3


def numbers(values: Iterable[float]) -> str:
    """An XML attribute that holds several numbers."""
    return " ".join(f"{value:.9g}" for value in values)


def add(parent: Element, tag: str, **attributes: object) -> Element:
    """Append an element; tuples, lists and arrays become space-separated numbers."""
    texts = {
        key.rstrip("_"): value if isinstance(value, str) else _text(value)
        for key, value in attributes.items()
        if value is not None
    }
    return ET.SubElement(parent, tag, texts)


def visual() -> dict[str, str]:
    """Attributes of a geom that is only seen."""
    return {"contype": "0", "conaffinity": "0", "group": str(int(Group.VISUAL)), "mass": "0"}


def colliding(what: Collides) -> dict[str, str]:
    """Contact bits of a geom that is touched."""
    return {"contype": str(int(what)), "conaffinity": str(int(_TOUCHES[what]))}


@dataclass(slots=True)
class Mjcf:
    """The sections that parts of a scene write to.

    Attributes:
        root: the `mujoco` element.
        files: content of the files that the XML names.
    """

    root: Element
    files: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def empty(cls, name: str) -> "Mjcf":
        """A model with nothing in it."""
        return cls(ET.Element("mujoco", model=name))

    def section(self, tag: str) -> Element:
        """The top-level element of that name, made at first use."""
        found = self.root.find(tag)
        return ET.SubElement(self.root, tag) if found is None else found

    def xml(self) -> str:
        """The model's text."""
        return ET.tostring(self.root, encoding="unicode")

    def digest(self) -> str:
        """16 hex digits over the XML.

        Not over the files: they are computed here (simplified meshes, textures), and their last
        bits may depend on the processor.
        """
        return hashlib.sha256(self.xml().encode()).hexdigest()[:16]

    def compile(self) -> mujoco.MjModel:
        """The compiled model."""
        return mujoco.MjModel.from_xml_string(self.xml(), self.files)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.9g}"
    if isinstance(value, Iterable):
        return numbers(value)
    return str(value)
