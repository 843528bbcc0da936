"""Messages of plain data and numeric arrays in msgpack, as openpi and vla-eval write them.

Nothing a peer sends is executed or trusted: of arrays only bool, integer and float ones are read,
sizes are checked against the bytes that came, and what one message may unfold to is bounded.

Sources of the layouts: `openpi_client.msgpack_numpy` (openpi-client 0.1.2) and
`vla_eval.protocol.numpy_codec` / `image_codec` (vla-eval 0.8.0).
"""

import io
import math
import re
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

_NUMERIC = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
_MAX_DIMS = 8
_MAX_ITEMS = 100_000
"""Of one list or map; arrays are not lists."""


class MessageError(ValueError):
    """A message that cannot be read, or that lacks something; the text is for the peer's user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How arrays are marked inside a message.

    Attributes:
        array, data, dtype, shape: keys of an array's map.
        scalar: marks a single number, or None where numbers are plain.
        image: marks an encoded image, or None.
    """

    array: str | bytes
    data: str | bytes
    dtype: str | bytes
    shape: str | bytes
    scalar: str | bytes | None = None
    image: str | None = None


OPENPI = Dialect(
    array=b"__ndarray__", data=b"data", dtype=b"dtype", shape=b"shape", scalar=b"__npgeneric__"
)
VLA_EVAL = Dialect(
    array="__ndarray__", data="data", dtype="dtype", shape="shape", image="__image__"
)


def pack(message: Any, dialect: Dialect) -> bytes:  # noqa: ANN401 (any plain data)
    """A message as bytes. Raises TypeError for what is neither plain data nor a numeric array."""

    def encode(value: object) -> object:
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "biuf":
                raise TypeError(f"arrays of dtype {value.dtype} are not sent")
            return {
                dialect.array: True,
                dialect.data: value.tobytes(),
                dialect.dtype: value.dtype.str,
                dialect.shape: list(value.shape),
            }
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return value.item()
        raise TypeError(f"a {type(value).__name__} is not sent")

    packed: bytes = msgpack.packb(message, default=encode)
    return packed


def unpack(data: bytes, dialect: Dialect, max_unpacked_bytes: int) -> Any:  # noqa: ANN401
    """The message in some bytes; arrays are copies, writable and in native byte order.

    Raises:
        MessageError: not msgpack, an array of another dtype or a wrong size, an image that is none,
            or more than `max_unpacked_bytes` of arrays in all.
    """
    decoder = _Decoder(dialect, max_unpacked_bytes)
    try:
        return msgpack.unpackb(
            data,
            object_hook=decoder.decode,
            ext_hook=_refuse_extension,
            max_array_len=_MAX_ITEMS,
            max_map_len=_MAX_ITEMS,
        )
    except MessageError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise MessageError(f"{len(data)} bytes that are no message: {error}") from error


def _refuse_extension(code: int, data: bytes) -> object:
    raise MessageError(f"a msgpack extension type ({code}); only plain data and arrays are read")


class _Decoder:
    """Turns the maps that stand for arrays and images into arrays, within a budget of bytes."""

    def __init__(self, dialect: Dialect, budget_bytes: int) -> None:
        self._dialect = dialect
        self._budget_bytes = budget_bytes

    def decode(self, value: dict[Any, Any]) -> Any:  # noqa: ANN401
        names = self._dialect
        if names.image is not None and names.image in value:
            return self._image(value)
        if names.array in value:
            return self._array(value)
        if names.scalar is not None and names.scalar in value:
            return self._scalar(value)
        return value

    def _array(self, value: dict[Any, Any]) -> NDArray[Any]:
        names = self._dialect
        dtype, shape = _dtype(value.get(names.dtype)), _shape(value.get(names.shape))
        data = value.get(names.data)
        if not isinstance(data, bytes):
            raise MessageError(f"an array whose data is a {type(data).__name__}, not bytes")
        wanted_bytes = math.prod(shape) * dtype.itemsize
        if len(data) != wanted_bytes:
            raise MessageError(
                f"an array of shape {list(shape)} and dtype {dtype} has {wanted_bytes} bytes; "
                f"got {len(data)}"
            )
        self._spend(wanted_bytes)
        native = dtype.newbyteorder("=")
        return np.frombuffer(data, dtype).reshape(shape).astype(native, copy=True)

    def _scalar(self, value: dict[Any, Any]) -> object:
        number = value.get(self._dialect.data)
        if not isinstance(number, bool | int | float):
            raise MessageError(f"a scalar that is a {type(number).__name__}, not a number")
        return _dtype(value.get(self._dialect.dtype)).type(number)

    def _image(self, value: dict[Any, Any]) -> NDArray[Any]:
        if value.get("format") == "raw":
            return self._array(value)
        kind, data, shape = value.get("format"), value.get("data"), _shape(value.get("shape"))
        if kind not in ("png", "jpeg") or not isinstance(data, bytes):
            raise MessageError(f"an image of format {kind!r}; allowed raw, png and jpeg")
        self._spend(math.prod(shape))
        image = _decoded(data, kind.upper(), shape)
        if image.shape != shape or image.dtype != np.uint8:
            raise MessageError(f"an image said to be {list(shape)} is {list(image.shape)}")
        return image

    def _spend(self, count: int) -> None:
        self._budget_bytes -= count
        if self._budget_bytes < 0:
            raise MessageError("the arrays of one message take more bytes than are allowed")


def _decoded(data: bytes, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            # The header is checked before a pixel is unfolded.
            if (image.height, image.width) != shape[:2]:
                raise MessageError(
                    f"an image said to be {list(shape)} has {image.height} x {image.width} pixels"
                )
            return np.array(image)
    except MessageError:
        raise
    except Exception as error:
        raise MessageError(f"an image that cannot be decoded: {error}") from error


def _dtype(text: object) -> np.dtype[Any]:
    if not isinstance(text, str) or not _NUMERIC.fullmatch(text):
        raise MessageError(f"an array of dtype {text!r}; allowed are bool, integer and float ones")
    return np.dtype(text)


def _shape(value: object) -> tuple[int, ...]:
    if (
        not isinstance(value, list)
        or len(value) > _MAX_DIMS
        or not all(isinstance(size, int) and size >= 0 for size in value)
    ):
        raise MessageError(f"an array of shape {value!r}")
    return tuple(value)
