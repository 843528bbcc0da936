"""Things that lie about and have nothing to do with any task."""

from collections.abc import Callable, Sequence

from ..mjcf import Element, Mjcf, add, visual
from ..scene.objects import HIDDEN, add_box, add_feet, add_lathe, add_material
from ..scene.room import TABLE_TOP_M
from ..scene.vessels import add_prism

_Rgb = Sequence[float]


def add_distractors(model: Mjcf) -> None:
    """Write every distractor, parked in the air beyond the room, where it weighs nothing."""
    for index, (name, build) in enumerate(_BUILDERS.items()):
        body = add(
            model.section("worldbody"),
            "body",
            name=name,
            pos=(0.3 * index, 8.0, TABLE_TOP_M),
            gravcomp=1,
        )
        add(body, "freejoint", name=f"{name}_free")
        build(model, body)


def _book(_: Mjcf, body: Element) -> None:
    add_box(body, (0.045, 0.062, 0.010), (0, 0, 0, 1), pos=(0, 0, 0.010), mass=0.15, **HIDDEN)
    _seen_box(body, (0.043, 0.060, 0.008), (0.002, 0, 0.010), (0.92, 0.90, 0.84))
    for z in (0.001, 0.019):
        _seen_box(body, (0.045, 0.062, 0.001), (0, 0, z), (0.45, 0.12, 0.30))
    _seen_box(body, (0.001, 0.062, 0.010), (-0.044, 0, 0.010), (0.45, 0.12, 0.30))


def _sponge(_: Mjcf, body: Element) -> None:
    add_box(body, (0.040, 0.028, 0.012), (0.93, 0.85, 0.35, 1), pos=(0, 0, 0.012), mass=0.02)
    _seen_box(body, (0.0402, 0.0282, 0.003), (0, 0, 0.0212), (0.18, 0.45, 0.25))


def _candle(model: Mjcf, body: Element) -> None:
    _solid(body, 0.027, 0.055, mass_kg=0.08)
    wax = add_material(model, "candle_wax", (0.90, 0.84, 0.93, 1))
    add_lathe(model, body, [(0, 0), (0.027, 0), (0.027, 0.055), (0.018, 0.052), (0, 0.052)], wax)
    _seen_box(body, (0.0015, 0.0015, 0.006), (0, 0, 0.058), (0.15, 0.13, 0.12))


def _plant(model: Mjcf, body: Element) -> None:
    _solid(body, 0.030, 0.050, mass_kg=0.15)
    clay = add_material(model, "plant_clay", (0.70, 0.38, 0.25, 1))
    outline = [(0, 0), (0.024, 0), (0.031, 0.044), (0.034, 0.044), (0.034, 0.052), (0, 0.052)]
    add_lathe(model, body, outline, clay)
    leaves = ((0, 0, 0.062), (0.014, 0.006, 0.058), (-0.012, 0.010, 0.059), (0, -0.015, 0.058))
    for pos in leaves:
        ball = {"type": "ellipsoid", "size": (0.016, 0.016, 0.014), "pos": pos}
        add(body, "geom", rgba=(0.22, 0.50, 0.20, 1), **ball, **visual())


def _jar(model: Mjcf, body: Element) -> None:
    _solid(body, 0.029, 0.062, mass_kg=0.16)
    jam = add_material(model, "jar_jam", (0.55, 0.10, 0.22, 1), specular=0.8)
    lid = add_material(model, "jar_lid", (0.85, 0.83, 0.78, 1), specular=0.6)
    add_lathe(model, body, [(0, 0), (0.029, 0), (0.029, 0.044), (0.024, 0.050), (0, 0.050)], jam)
    add_lathe(model, body, [(0, 0.050), (0.027, 0.050), (0.027, 0.062), (0, 0.062)], lid)


_RING_COLOURS = ((0.85, 0.3, 0.55), (0.95, 0.6, 0.15), (0.95, 0.85, 0.25), (0.3, 0.7, 0.7))


def _ring_toy(model: Mjcf, body: Element) -> None:
    _solid(body, 0.034, 0.045, mass_kg=0.10)
    for index, colour in enumerate(_RING_COLOURS):
        radius, low = 0.035 - 0.006 * index, 0.015 * index
        paint = add_material(model, f"ring_toy_{index}", (*colour, 1))
        ring = [
            (0, low),
            (radius - 0.004, low),
            (radius, low + 0.0075),
            (radius - 0.004, low + 0.015),
            (0, low + 0.015),
        ]
        add_lathe(model, body, ring, paint)


def _camera(_: Mjcf, body: Element) -> None:
    add_box(body, (0.042, 0.018, 0.026), (0.14, 0.14, 0.15, 1), pos=(0, 0, 0.026), mass=0.2)
    _seen_box(body, (0.014, 0.016, 0.006), (0, 0, 0.056), (0.20, 0.20, 0.21))
    lens = {"type": "cylinder", "size": (0.017, 0.010), "pos": (0, -0.024, 0.026)}
    turned = (0.7071067811865476, 0.7071067811865476, 0, 0)
    add(body, "geom", rgba=(0.30, 0.31, 0.33, 1), quat=turned, **lens, **visual())


def _clock(_: Mjcf, body: Element) -> None:
    add_box(body, (0.034, 0.017, 0.034), (0.20, 0.45, 0.55, 1), pos=(0, 0, 0.034), mass=0.12)
    face = {"type": "cylinder", "size": (0.027, 0.002), "pos": (0, -0.017, 0.034)}
    turned = (0.7071067811865476, 0.7071067811865476, 0, 0)
    add(body, "geom", rgba=(0.96, 0.96, 0.93, 1), quat=turned, **face, **visual())
    _seen_box(body, (0.001, 0.001, 0.010), (0, -0.0195, 0.042), (0.1, 0.1, 0.1))
    _seen_box(body, (0.008, 0.001, 0.001), (0.007, -0.0195, 0.034), (0.1, 0.1, 0.1))


def _house(_: Mjcf, body: Element) -> None:
    add_box(body, (0.028, 0.028, 0.020), (0.93, 0.88, 0.72, 1), pos=(0, 0, 0.020), mass=0.10)
    for sign in (-1, 1):
        half, pos = (0.024, 0.032, 0.003), (sign * 0.016, 0, 0.053)
        roof = {"type": "box", "size": half, "pos": pos, "euler": (0, sign * 0.75, 0)}
        add(body, "geom", rgba=(0.62, 0.20, 0.16, 1), **roof, **visual())
    _seen_box(body, (0.007, 0.001, 0.011), (0, -0.028, 0.011), (0.35, 0.22, 0.15))


def _duck(_: Mjcf, body: Element) -> None:
    add_box(body, (0.026, 0.020, 0.016), (0, 0, 0, 1), pos=(0, 0, 0.016), mass=0.05, **HIDDEN)
    yellow = (0.97, 0.80, 0.12, 1)
    for size, pos in (
        ((0.034, 0.026, 0.020), (0, 0, 0.020)),
        ((0.017, 0.016, 0.016), (0.020, 0, 0.047)),
    ):
        add(body, "geom", type="ellipsoid", size=size, pos=pos, rgba=yellow, **visual())
    _seen_box(body, (0.008, 0.007, 0.002), (0.040, 0, 0.045), (0.93, 0.45, 0.10))


def _solid(body: Element, radius_m: float, height_m: float, mass_kg: float) -> None:
    add_prism(body, radius_m, (0.002, height_m), mass_kg * 0.9)
    add_feet(body, radius_m - 0.008, mass_kg * 0.1)


def _seen_box(body: Element, half_m: _Rgb, pos_m: _Rgb, rgb: _Rgb) -> None:
    add(body, "geom", type="box", size=half_m, pos=pos_m, rgba=(*rgb, 1), **visual())


_BUILDERS: dict[str, Callable[[Mjcf, Element], None]] = {
    "clutter_book": _book,
    "clutter_sponge": _sponge,
    "clutter_candle": _candle,
    "clutter_plant": _plant,
    "clutter_jar": _jar,
    "clutter_ring_toy": _ring_toy,
    "clutter_camera": _camera,
    "clutter_clock": _clock,
    "clutter_house": _house,
    "clutter_duck": _duck,
}

NAMES = tuple(_BUILDERS)
"""The distractors' bodies; each stands on the table when its frame is at the table's height."""
