"""Messages come back as they went, and nothing but plain data and numeric arrays is read."""

import io
import zlib
from typing import Any

import msgpack
import numpy as np
import pytest
from PIL import Image

from sfbench.serving.arrays import OPENPI, VLA_EVAL, Dialect, MessageError, pack, unpack

LIMIT = 1_000_000

ARRAYS = {
    "bool": np.array([True, False]),
    "uint8 image": np.arange(48, dtype=np.uint8).reshape(4, 4, 3),
    "int64": np.arange(6).reshape(2, 3),
    "float16": np.linspace(0, 1, 5, dtype=np.float16),
    "float64 with nan": np.array([1.0, np.nan, -np.inf]),
    "no numbers": np.empty((0, 7), np.float32),
    "zero dimensions": np.array(3.5),
    "big-endian": np.arange(4, dtype=">f4"),
    "not contiguous": np.arange(12.0).reshape(3, 4)[:, ::2],
}


@pytest.mark.parametrize("dialect", [OPENPI, VLA_EVAL], ids=["openpi", "vla_eval"])
@pytest.mark.parametrize("name", ARRAYS)
def test_round_trip(dialect: Dialect, name: str) -> None:
    array = ARRAYS[name]
    message = {"text": "ä", "deep": {"list": [1, 2.5, None, {"x": array}]}, "x": array}
    back = unpack(pack(message, dialect), dialect, LIMIT)
    assert back["text"] == "ä"
    assert back["deep"]["list"][:3] == [1, 2.5, None]
    for found in (back["x"], back["deep"]["list"][3]["x"]):
        assert found.shape == array.shape
        assert found.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, array)
        assert found.flags.writeable


def test_single_numbers() -> None:
    assert unpack(pack({"a": np.float32(0.5), "b": np.int8(-3)}, OPENPI), OPENPI, LIMIT) == {
        "a": 0.5,
        "b": -3,
    }
    scalar = {b"__npgeneric__": True, b"data": 7, b"dtype": "<i4"}
    found = unpack(msgpack.packb(scalar), OPENPI, LIMIT)
    assert found == 7
    assert found.dtype == np.int32


@pytest.mark.parametrize("kind", ["png", "jpeg", "raw"])
def test_encoded_images(kind: str) -> None:
    pixels = np.full((5, 7, 3), 90, np.uint8)
    data = pixels.tobytes() if kind == "raw" else encoded(pixels, kind)
    found = unpack(image_message(kind, data, [5, 7, 3]), VLA_EVAL, LIMIT)
    assert np.abs(found.astype(int) - pixels).max() <= (3 if kind == "jpeg" else 0)


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind.upper())
    return file.getvalue()


def image_message(kind: str, data: bytes, shape: list[int]) -> bytes:
    content = {"__image__": True, "format": kind, "data": data, "shape": shape, "dtype": "|u1"}
    packed: bytes = msgpack.packb(content)
    return packed


def array_message(**changed: Any) -> bytes:
    content = {
        b"__ndarray__": True,
        b"data": b"\0" * 8,
        b"dtype": "<f4",
        b"shape": [2],
        **{name.encode(): value for name, value in changed.items()},
    }
    packed: bytes = msgpack.packb(content)
    return packed


PNG = encoded(np.zeros((5, 7, 3), np.uint8), "png")


def png_bomb() -> bytes:
    """A header that promises 9000 x 9000 pixels, before data that would unfold to them."""
    size = (9_000).to_bytes(4, "big")
    header = b"IHDR" + size + size + b"\x08\x02\0\0\0"
    return PNG[:8] + b"\0\0\0\x0d" + header + zlib.crc32(header).to_bytes(4, "big") + PNG[33:]


REFUSED: dict[str, tuple[bytes, str]] = {
    "no msgpack": (b"\xc1", "no message"),
    "cut short": (array_message()[:-2], "no message"),
    "two messages": (array_message() * 2, "no message"),
    "object dtype": (array_message(dtype="|O"), "dtype '|O'"),
    "text dtype": (array_message(dtype="<U4"), "dtype '<U4'"),
    "record dtype": (array_message(dtype="i4,f4"), "dtype 'i4,f4'"),
    "complex dtype": (array_message(dtype="<c8"), "dtype '<c8'"),
    "huge dtype": (array_message(dtype="S99999999999"), "dtype"),
    "no dtype": (array_message(dtype=None), "dtype None"),
    "wrong size": (array_message(shape=[3]), "has 12 bytes; got 8"),
    "huge shape": (array_message(shape=[2**62, 2**62]), "bytes; got 8"),
    "negative shape": (array_message(shape=[-1, -2]), "shape [-1, -2]"),
    "shape that is no list": (array_message(shape=2), "shape 2"),
    "many dimensions": (array_message(shape=[1] * 40), "shape"),
    "data that is text": (array_message(data="12345678"), "data is a str"),
    "extension type": (msgpack.packb(msgpack.ExtType(5, b"x")), "extension type (5)"),
    "deep nesting": (b"\x91" * 5000 + b"\xc0", "no message"),
    "long list": (msgpack.packb([0] * 200_000), "no message"),
    "scalar that is text": (
        msgpack.packb({b"__npgeneric__": True, b"data": "x", b"dtype": "<i4"}),
        "a scalar that is a str",
    ),
    "scalar too large": (
        msgpack.packb({b"__npgeneric__": True, b"data": 999, b"dtype": "|u1"}),
        "no message",
    ),
    "more than allowed": (
        msgpack.packb([msgpack.unpackb(array_message(), strict_map_key=False)] * 3),
        "more bytes than are allowed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, text = REFUSED[name]
    with pytest.raises(MessageError) as caught:
        unpack(data, OPENPI, 20 if name == "more than allowed" else LIMIT)
    assert text in str(caught.value)


REFUSED_IMAGES: dict[str, tuple[bytes, str]] = {
    "unknown format": (image_message("gif", PNG, [5, 7, 3]), "format 'gif'"),
    "no image": (image_message("png", b"no image", [5, 7, 3]), "cannot be decoded"),
    "another format": (image_message("jpeg", PNG, [5, 7, 3]), "cannot be decoded"),
    "cut short": (image_message("png", PNG[:-30], [5, 7, 3]), "cannot be decoded"),
    "another size": (image_message("png", PNG, [5, 6, 3]), "has 5 x 7 pixels"),
    "more channels": (image_message("png", PNG, [5, 7, 4]), "is [5, 7, 3]"),
    "bomb, size denied": (image_message("png", png_bomb(), [5, 7, 3]), "has 9000 x 9000 pixels"),
    "bomb, size told": (
        image_message("png", png_bomb(), [9000, 9000, 3]),
        "more bytes than are allowed",
    ),
    "raw of another size": (image_message("raw", PNG, [5, 7, 3]), "105 bytes; got"),
}


@pytest.mark.parametrize("name", REFUSED_IMAGES)
def test_refused_images(name: str) -> None:
    data, text = REFUSED_IMAGES[name]
    with pytest.raises(MessageError) as caught:
        unpack(data, VLA_EVAL, LIMIT)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "value", [np.array([object()]), np.array(["a"]), object(), np.array([1j]), {1, 2}]
)
def test_what_is_not_sent(value: object) -> None:
    with pytest.raises(TypeError, match="not sent"):
        pack({"x": value}, OPENPI)
