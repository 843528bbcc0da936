"""How far predicted depths are from true ones."""

from dataclasses import dataclass

import torch
from torch import Tensor

_FACTOR = 1.25


@dataclass(frozen=True, slots=True)
class DepthError:
    """Means over the places whose depth is known; scales are compared as they are.

    Attributes:
        absrel: |error| / true depth.
        rmse_m: root mean square error.
        delta1: share within a factor of 1.25.
    """

    absrel: float
    rmse_m: float
    delta1: float


def depth_error(predicted_m: Tensor, true_m: Tensor) -> DepthError:
    """Compare depths of one shape; places that are not finite or not positive are left out.

    Source of the three metrics: Eigen et al. 2014 (arXiv 1406.2283).
    """
    known = torch.isfinite(true_m) & (true_m > 0)
    got, want = predicted_m[known].double(), true_m[known].double()
    error = got - want
    ratio = torch.maximum(got / want, want / got)
    return DepthError(
        float((error.abs() / want).mean()),
        float(error.square().mean().sqrt()),
        float((ratio < _FACTOR).double().mean()),
    )
