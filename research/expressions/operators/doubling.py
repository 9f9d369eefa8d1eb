"""Windows by doubling: what n rows say, put together from what two neighbouring windows say.

Windows of 1, 2, 4, 8, ... rows are joined to windows of n rows, for all rows at once, in some 2 log2(n) steps.
Nothing is ever subtracted: rounding errors don't build up along the rows, a window of equal values has exactly
no variance, and what has left a window (a missing value, or one of another magnitude) leaves no trace.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Parts = tuple[Array, ...]
Join = Callable[[Parts, Parts, int, int], Parts]  # the older window, the newer one, and how many rows each has


def covariance(x: Array, y: Array, n: int) -> Array:
    """Return the covariance of the n rows up to each row, with n - 1 degrees of freedom; NaN before row n."""
    _, _, product = _windows((x, y, np.where(np.isnan(x) | np.isnan(y), np.nan, 0.0)), n, _join_products)
    return product / (n - 1)


def rows_since_maximum(x: Array, n: int) -> Array:
    """Return how many rows ago the greatest of the n rows up to each row was, the latest one of equals."""
    greatest, ago = _windows((x, np.zeros_like(x)), n, _join_maxima)
    return np.where(np.isnan(greatest), np.nan, ago)


def linear_decay(x: Array, n: int) -> Array:
    """Return the mean of the n rows up to each row, with weights from 1 (the oldest) to n (the row itself)."""
    weighted, _ = _windows((x, x), n, _join_weighted)
    return weighted / (n * (n + 1) / 2)


def _windows(single: Parts, n: int, join: Join) -> Parts:
    """Return what is said of the window of n rows up to each row; `single` says it of windows of one row."""
    total = len(single[0])
    if n > total:
        return tuple(np.full(total, np.nan) for _ in single)
    power, size = single, 1
    done, rows = None, 0
    while rows < n:
        if n & size:
            done = power if done is None else _joined(done, rows, power, size, join)
            rows += size
        if rows < n:
            power = _joined(power, size, power, size, join)
            size *= 2
    assert done is not None  # n is 1 or more
    return tuple(np.concatenate([np.full(n - 1, np.nan), part]) for part in done)


def _joined(older: Parts, a: int, newer: Parts, b: int, join: Join) -> Parts:
    # The first element is of the first window: the window of b rows after it stands a places further on.
    count = len(older[0]) - b
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite becomes null
        return join(tuple(part[:count] for part in older), tuple(part[a : a + count] for part in newer), a, b)


def _join_products(older: Parts, newer: Parts, a: int, b: int) -> Parts:
    """Join means of x and y and their sums of products of deviations.

    P. Pébay, Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
    moments, Sandia report SAND2008-6212, equation 3.11.
    """
    (x, y, product), (newer_x, newer_y, newer_product) = older, newer
    dx, dy = newer_x - x, newer_y - y
    share = b / (a + b)
    return x + dx * share, y + dy * share, product + newer_product + dx * dy * (a * share)


def _join_maxima(older: Parts, newer: Parts, a: int, b: int) -> Parts:
    (greatest, ago), (newer_greatest, newer_ago) = older, newer
    return np.maximum(greatest, newer_greatest), np.where(newer_greatest >= greatest, newer_ago, ago + b)


def _join_weighted(older: Parts, newer: Parts, a: int, b: int) -> Parts:
    """Join sums weighted from 1 up, and plain sums: in the joined window the newer weights begin at a + 1."""
    (weighted, plain), (newer_weighted, newer_plain) = older, newer
    return weighted + newer_weighted + a * newer_plain, plain + newer_plain
