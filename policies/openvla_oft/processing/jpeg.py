"""A JPEG round trip at quality 95 as TensorFlow makes it, computed without a bit stream.

The published policies were trained on images that had been JPEG files, and their evaluation encodes
and decodes every frame with TensorFlow. Entropy coding loses nothing, so only the lossy steps are
done here: colour transform, 2 x 2 chroma averaging, forward DCT, quantisation, inverse DCT, chroma
interpolation, colour transform back. TensorFlow decodes with the *fast* integer inverse DCT; other
decoders use the accurate one and differ from it by about one grey level on average, 12 at most
(measured on 256 px images), which is why Pillow is not used.

Legend: H, W image rows and columns; Y, X block rows and columns; blocks are int32 [Y, X, 8, 8].

Sources: ITU-T T.81 Annex K (tables); Loeffler, Ligtenberg and Moschytz 1989 (forward DCT); Arai,
Agui and Nakajima 1988 (fast inverse DCT); the integer precisions are those of libjpeg-turbo.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]

_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.int32,
)
_CHROMINANCE = np.full((8, 8), 99, np.int32)
_CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

# Scale of row or column k in the factored inverse DCT: 1, then sqrt(2) cos(k pi / 16).
_AAN_SCALE = np.array([1.0, *(np.sqrt(2) * np.cos(k * np.pi / 16) for k in range(1, 8))])


def jpeg_round_trip(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is left of an image after JPEG at quality 95 with 4:2:0 chroma.

    Args:
        image: uint8 [H, W, 3], RGB.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = image.shape[:2]
    # Columns are filled up before chroma is averaged, rows (but for the last pair) after it.
    pad = ((0, height % 2), (0, -width % 16), (0, 0))
    luma, blue, red = _rgb_to_ycc(np.pad(image, pad, mode="edge").astype(np.int32))
    luma = _code(luma, _quantiser(_LUMINANCE))[:height, :width]
    half_width = (width + 1) // 2
    chroma = [
        _upsample(_code(_downsample(plane), _quantiser(_CHROMINANCE))[:, :half_width])
        for plane in (blue, red)
    ]
    return _ycc_to_rgb(luma, *(plane[:height, :width] for plane in chroma))


def _quantiser(base: Ints, quality: int = 95) -> Ints:
    return np.clip((base * (200 - 2 * quality) + 50) // 100, 1, 255)


def _fixed(value: float, bits: int = 16) -> int:
    return int(value * (1 << bits) + 0.5)


def _rgb_to_ycc(rgb: Ints) -> tuple[Ints, Ints, Ints]:
    red, green, blue = np.moveaxis(rgb, -1, 0)
    half, centre = 1 << 15, (128 << 16) + (1 << 15) - 1
    y = _fixed(0.299) * red + _fixed(0.587) * green + _fixed(0.114) * blue + half
    cb = _fixed(0.5) * blue - _fixed(0.16874) * red - _fixed(0.33126) * green + centre
    cr = _fixed(0.5) * red - _fixed(0.41869) * green - _fixed(0.08131) * blue + centre
    return y >> 16, cb >> 16, cr >> 16


def _ycc_to_rgb(y: Ints, cb: Ints, cr: Ints) -> NDArray[np.uint8]:
    half, cb, cr = 1 << 15, cb - 128, cr - 128
    red = y + ((_fixed(1.402) * cr + half) >> 16)
    green = y + ((half - _fixed(0.34414) * cb - _fixed(0.71414) * cr) >> 16)
    blue = y + ((_fixed(1.772) * cb + half) >> 16)
    rgb: NDArray[np.uint8] = np.clip(np.stack([red, green, blue], axis=-1), 0, 255).astype(np.uint8)
    return rgb


def _downsample(plane: Ints) -> Ints:
    total = plane[::2, ::2] + plane[::2, 1::2] + plane[1::2, ::2] + plane[1::2, 1::2]
    # The rounding bias alternates along a row, so that averages do not drift.
    return (total + 1 + (np.arange(total.shape[1], dtype=np.int32) & 1)) >> 2


def _upsample(plane: Ints) -> Ints:
    """Each sample's four children: 3/4 of it and 1/4 of the neighbour, along both axes."""
    rows = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
    tall = np.empty((2 * plane.shape[0], plane.shape[1]), np.int32)
    tall[::2] = 3 * plane + rows[:-2]
    tall[1::2] = 3 * plane + rows[2:]
    columns = np.pad(tall, ((0, 0), (1, 1)), mode="edge")
    wide = np.empty((tall.shape[0], 2 * tall.shape[1]), np.int32)
    wide[:, ::2] = (3 * tall + columns[:, :-2] + 8) >> 4
    wide[:, 1::2] = (3 * tall + columns[:, 2:] + 7) >> 4
    return wide


def _code(plane: Ints, quantiser: Ints) -> Ints:
    """Quantise one plane's DCT coefficients and transform them back."""
    height, width = plane.shape
    filled = np.pad(plane, ((0, -height % 8), (0, 0)), mode="edge") - 128
    blocks = filled.reshape(-1, 8, width // 8, 8).swapaxes(1, 2)
    coefficients = _forward_dct(blocks)
    divisor = quantiser << 3
    levels = np.sign(coefficients) * ((np.abs(coefficients) + (divisor >> 1)) // divisor)
    samples: Ints = np.clip((_inverse_dct(levels, quantiser) >> 5) + 128, 0, 255)
    return samples.swapaxes(1, 2).reshape(filled.shape)[:height]


def _forward_dct(blocks: Ints) -> Ints:
    """Rows, then columns; the result is 8 times the orthonormal transform, rounded."""
    rows = _forward_pass(np.moveaxis(blocks, -1, 0), even_shift=-2, odd_shift=11)
    columns = _forward_pass(np.moveaxis(rows, -1, 0), even_shift=2, odd_shift=15)
    return np.moveaxis(columns, (0, 1), (-2, -1))


def _round_shift(value: Ints, bits: int) -> Ints:
    return value << -bits if bits < 0 else (value + (1 << (bits - 1))) >> bits


def _forward_pass(x: Ints, even_shift: int, odd_shift: int) -> Ints:
    """One 8-point transform along axis 0, 13-bit constants; shifts set the output's scale."""
    add, sub = x[:4] + x[:3:-1], x[:4] - x[:3:-1]
    outer, inner = add[0] + add[3], add[1] + add[2]
    outer_diff, inner_diff = add[0] - add[3], add[1] - add[2]
    turn = (outer_diff + inner_diff) * _fixed(0.541196100, 13)
    out = np.empty_like(x)
    out[0] = _round_shift(outer + inner, even_shift)
    out[4] = _round_shift(outer - inner, even_shift)
    out[2] = _round_shift(turn + outer_diff * _fixed(0.765366865, 13), odd_shift)
    out[6] = _round_shift(turn - inner_diff * _fixed(1.847759065, 13), odd_shift)
    d0, d1, d2, d3 = sub
    common = (d0 + d1 + d2 + d3) * _fixed(1.175875602, 13)
    near = common - (d1 + d3) * _fixed(1.961570560, 13)
    far = common - (d0 + d2) * _fixed(0.390180644, 13)
    ends = (d0 + d3) * _fixed(0.899976223, 13)
    middle = (d1 + d2) * _fixed(2.562915447, 13)
    out[7] = _round_shift(d3 * _fixed(0.298631336, 13) - ends + near, odd_shift)
    out[5] = _round_shift(d2 * _fixed(2.053119869, 13) - middle + far, odd_shift)
    out[3] = _round_shift(d1 * _fixed(3.072711026, 13) - middle + near, odd_shift)
    out[1] = _round_shift(d0 * _fixed(1.501321110, 13) - ends + far, odd_shift)
    return out


def _inverse_dct(levels: Ints, quantiser: Ints) -> Ints:
    """Columns, then rows; the result is 32 times the samples."""
    scale = np.rint(16384 * np.outer(_AAN_SCALE, _AAN_SCALE)).astype(np.int32)
    values = levels * _round_shift(quantiser * scale, 12)
    columns = _inverse_pass(np.moveaxis(values, -2, 0))
    rows = _inverse_pass(np.moveaxis(columns, -1, 0))
    # Axis 0 is the column within a block, axis 1 the row.
    return np.moveaxis(rows, (1, 0), (-2, -1))


def _times(value: Ints, constant: float) -> Ints:
    """8-bit constants, and truncation where the accurate transform would round."""
    return (value * _fixed(constant, 8)) >> 8


def _inverse_pass(x: Ints) -> Ints:
    """One factored 8-point inverse transform along axis 0 (inputs already scaled)."""
    even_sum, even_diff = x[0] + x[4], x[0] - x[4]
    side_sum = x[2] + x[6]
    side_diff = _times(x[2] - x[6], 1.414213562) - side_sum
    e0, e3 = even_sum + side_sum, even_sum - side_sum
    e1, e2 = even_diff + side_diff, even_diff - side_diff
    middle_sum, middle_diff = x[5] + x[3], x[5] - x[3]
    outer_sum, outer_diff = x[1] + x[7], x[1] - x[7]
    o7 = outer_sum + middle_sum
    turn = _times(middle_diff + outer_diff, 1.847759065)
    # -669 / 256 with truncation towards minus infinity: negate the constant, not the product.
    o6 = ((middle_diff * -_fixed(2.613125930, 8)) >> 8) + turn - o7
    o5 = _times(outer_sum - middle_sum, 1.414213562) - o6
    o4 = _times(outer_diff, 1.082392200) - turn + o5
    return np.stack([e0 + o7, e1 + o6, e2 + o5, e3 - o4, e3 + o4, e2 - o5, e1 - o6, e0 - o7])
