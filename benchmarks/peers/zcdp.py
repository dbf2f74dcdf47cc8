"""Zero-concentrated differential privacy, for the runners whose package wants its parameter."""

from __future__ import annotations

import numpy as np


def rho_of(epsilon: float, delta: float) -> float:
    """The largest parameter of zCDP that implies (epsilon, delta).

    After Canonne, Kamath and Steinke 2020 (arXiv 2004.00010).
    """
    orders = 1 + np.geomspace(1e-4, 1e5, 20_000)

    def implied(rho: float) -> float:
        logs = (orders - 1) * (orders * rho - epsilon) + orders * np.log1p(-1 / orders)
        return float(np.exp(np.minimum(logs - np.log(orders - 1), 0)).min())

    low, high = 0.0, epsilon + 1
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if implied(middle) <= delta else (low, middle)
    return low
