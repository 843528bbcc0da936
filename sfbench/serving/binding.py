"""A mapping meets a suite: names are resolved, conventions compared, before episode 0."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from sfbench.contracts import (
    ActionSpec,
    CameraSpec,
    EnvSpec,
    Frame,
    Gripper,
    Orientation,
    PolicySpec,
    Quantity,
    Reference,
    Rotation,
    RotationSign,
    RunsIn,
    VectorPart,
    VectorSpec,
    check_compatible,
)
from sfbench.errors import SpecMismatchError, UnknownNameError, UsageError
from sfbench.serving.images import Layout, Resize
from sfbench.serving.mapping_file import (
    NATIVE,
    CameraEntry,
    DimEntry,
    MappingFile,
    PartEntry,
    StateEntry,
    known_mappings,
    read_mapping,
)
from sfbench.serving.wire import Dim, Handshake, Wire, WireImage, WireState


class Protocol(StrEnum):
    """The websocket protocols."""

    OPENPI = "openpi"
    VLA_EVAL = "vla_eval"


INSTRUCTION_KEY = {Protocol.OPENPI: ("prompt",), Protocol.VLA_EVAL: ("task_description",)}


def bind(name: str, protocol: Protocol, env: EnvSpec) -> Wire:
    """The named mapping for a suite.

    Raises:
        UsageError: no name, an unknown one, one for the other protocol, or one that does not fit
            the suite: a camera it lacks, another action space, another convention.
    """
    if not name:
        names = ", ".join([NATIVE, *known_mappings()])
        raise UsageError(
            "policy.mapping= is missing: say which keys, image sizes and conventions the server "
            f"expects; they are never guessed. Valid: {names}, or a file that ends in .yaml."
        )
    if name == NATIVE:
        return _native(protocol, env)
    file = read_mapping(name)
    allowed = [_enum(Protocol, text, f"protocols of mapping '{name}'") for text in file.protocols]
    if protocol not in allowed:
        raise UsageError(f"mapping '{name}' is for protocol {', '.join(allowed)}, not {protocol}")
    wire = _wire(name, file, env)
    _check(wire, env)
    return wire


def _native(protocol: Protocol, env: EnvSpec) -> Wire:
    images = tuple(
        WireImage(key=("images", camera.name), suite=camera, wire=camera) for camera in env.cameras
    )
    return Wire(
        name=NATIVE,
        instruction_key=INSTRUCTION_KEY[protocol],
        images=images,
        resize=Resize.NONE,
        state=WireState(key=("state",), spec=env.state),
        state_size=env.state.size,
        action=env.action,
        handshake=Handshake(
            action_spec=_native_dims(env.action), observation_spec=_native_dims(env.state)
        ),
    )


def _native_dims(spec: VectorSpec) -> dict[str, Dim]:
    """Components whose format spells out each convention of ours."""
    found = {}
    for part in spec.parts:
        words = [part.quantity, part.frame, part.reference]
        words += [item for item in (part.rotation, part.rotation_sign, part.gripper) if item]
        found[part.name] = Dim(dims=part.size, format="/".join(words))
    return found


def _wire(name: str, file: MappingFile, env: EnvSpec) -> Wire:
    resize = _enum(Resize, file.resize, f"resize of mapping '{name}'")
    action = _vector(file.action.parts, env.action, name)
    hello = file.vla_eval
    return Wire(
        name=name,
        instruction_key=tuple(file.instruction),
        images=tuple(_image(entry, env, name, resize) for entry in file.cameras),
        resize=resize,
        state=None if file.state is None else _state(file.state, env, name),
        state_size=env.state.size,
        action=ActionSpec(
            name=env.action.name,
            parts=action,
            hz=env.action.hz if file.action.hz is None else file.action.hz,
        ),
        handshake=Handshake()
        if hello is None
        else Handshake(
            params=hello.params,
            action_spec=_dims(hello.action_spec),
            observation_spec=_dims(hello.observation_spec),
        ),
    )


def _image(entry: CameraEntry, env: EnvSpec, name: str, resize: Resize) -> WireImage:
    camera = env.camera(entry.camera)
    if camera is None:
        names = ", ".join(item.name for item in env.cameras)
        raise SpecMismatchError(
            f"mapping '{name}' sends camera '{entry.camera}'; the suite lacks it; it has {names}"
        )
    height = camera.height if entry.height is None else entry.height
    width = camera.width if entry.width is None else entry.width
    if resize is Resize.NONE and (height, width) != (camera.height, camera.width):
        raise SpecMismatchError(
            f"mapping '{name}' sends camera '{entry.camera}' as {height} x {width}, and the suite "
            f"renders {camera.height} x {camera.width}; set its size in the suite, or say in the "
            "mapping how to resize"
        )
    where = f"mapping '{name}', camera '{entry.camera}'"
    wire = CameraSpec(
        name=camera.name,
        height=height,
        width=width,
        orientation=_enum(Orientation, entry.orientation, f"orientation of {where}"),
    )
    return WireImage(
        key=tuple(entry.key),
        suite=camera,
        wire=wire,
        layout=_enum(Layout, entry.layout, f"layout of {where}"),
        param=entry.param,
    )


def _state(entry: StateEntry, env: EnvSpec, name: str) -> WireState:
    spec = VectorSpec(name=env.state.name, parts=_vector(entry.parts, env.state, name))
    return WireState(key=tuple(entry.key), spec=spec, param=entry.param)


def _vector(entries: Sequence[PartEntry], suite: VectorSpec, name: str) -> tuple[VectorPart, ...]:
    """The parts of a mapping, with the suite's names and bounds where there are as many."""
    if len(entries) == len(suite.parts):
        pairs = zip(entries, suite.parts, strict=True)
        return tuple(_part(entry, part, name) for entry, part in pairs)
    # Under names of their own, so that the comparison shows both lists.
    return tuple(_part(entry, None, name) for entry in entries)


def _part(entry: PartEntry, suite: VectorPart | None, name: str) -> VectorPart:
    where = f"mapping '{name}'"
    size = entry.size or (1 if suite is None else suite.size)
    same = suite is not None and suite.size == size
    rotation, sign, gripper = entry.rotation, entry.rotation_sign, entry.gripper
    conventions = {
        "quantity": _enum(Quantity, entry.quantity, f"quantity in {where}"),
        "frame": _enum(Frame, entry.frame, f"frame in {where}"),
        "reference": _enum(Reference, entry.reference, f"reference in {where}"),
        "rotation": rotation and _enum(Rotation, rotation, f"rotation in {where}"),
        "rotation_sign": sign and _enum(RotationSign, sign, f"rotation_sign in {where}"),
        "gripper": gripper and _enum(Gripper, gripper, f"gripper in {where}"),
    }
    try:
        return VectorPart(
            name=entry.quantity if suite is None else suite.name,
            low=suite.low if suite is not None and same else (float("-inf"),) * size,
            high=suite.high if suite is not None and same else (float("inf"),) * size,
            **conventions,  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def _dims(entries: dict[str, DimEntry]) -> dict[str, Dim]:
    return {name: Dim(dims=entry.dims, format=entry.format) for name, entry in entries.items()}


def _check(wire: Wire, env: EnvSpec) -> None:
    """Compare conventions. Raises SpecMismatchError with every field that differs."""
    spec = PolicySpec(
        name=wire.name,
        runs_in=RunsIn.MAIN,
        action=wire.action,
        state=None if wire.state is None else wire.state.spec,
    )
    try:
        check_compatible(env, spec)
    except SpecMismatchError as error:
        lines = str(error).replace("policy wants", "mapping wants").splitlines()[1:]
        heading = f"mapping '{wire.name}' does not fit this suite:"
        raise SpecMismatchError("\n".join([heading, *lines])) from None


E = TypeVar("E", bound=StrEnum)


def _enum(kind: type[E], text: str, what: str) -> E:
    values = [member.value for member in kind]
    if text not in values:
        raise UnknownNameError(what, text, values)
    return kind(text)
