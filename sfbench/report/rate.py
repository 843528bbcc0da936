"""A success rate with Wilson's interval: without scipy, so that the command line stays quick."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from sfbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class Rate:
    """k successes in n episodes, with an interval."""

    successes: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The rate k / n; NaN without episodes."""
        return self.successes / self.n if self.n else float("nan")


def wilson(successes: int, n: int, confidence: float = 0.95) -> Rate:
    """Wilson's score interval (Wilson 1927): never of zero width, never outside [0, 1].

    Raises:
        UsageError: not 0 <= successes <= n, or confidence outside (0, 1).
    """
    check_counts(successes, n, confidence)
    if n == 0:
        return Rate(0, 0, 0.0, 1.0)
    return Rate(successes, n, *wilson_bounds(successes / n, n, confidence))


def wilson_bounds(p: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's bounds around a share p of n > 0, which need not be a whole number of cases."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    scale = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale
    # At the ends the exact bound is 0 or 1, which rounding would miss.
    low = 0.0 if p == 0 else max(0.0, centre - half)
    high = 1.0 if p == 1 else min(1.0, centre + half)
    return low, high


def check_counts(successes: int, n: int, confidence: float) -> None:
    """Refuse impossible counts. Raises UsageError."""
    if not 0 <= successes <= n:
        raise UsageError(f"{successes} successes of {n}: allowed 0 to n")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence {confidence}: allowed between 0 and 1")
