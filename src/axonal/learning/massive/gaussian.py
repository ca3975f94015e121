r"""What the ratio is when nothing is massive: independent Gaussian numbers.

Of :math:`n` standard normal numbers the largest has the expected size

.. math:: E \max |z| = \int_0^\infty 1 - (2\Phi(v) - 1)^n \, dv ,

and the median of :math:`|z|` is :math:`\Phi^{-1}(3/4) = 0.6745`. Ratios of models with different
widths and contexts are comparable only relative to this level, which the paper leaves out.
"""

from __future__ import annotations

import math
from functools import lru_cache

from axonal.errors import InputError

ABOVE_NULL = 2.0
"""How many null levels a layer must exceed before it is called above the null."""


@lru_cache(maxsize=256)
def null_ratio(count: int) -> float:
    """Return the expected ratio of ``count`` independent Gaussian numbers.

    Parameters
    ----------
    count
        Numbers in a layer: tokens times channels.

    Examples
    --------
    >>> round(null_ratio(8192), 3)
    5.888
    """
    from scipy.integrate import quad
    from scipy.special import erfc, ndtri

    if count < 2:
        raise InputError(f"count: expected at least 2 numbers in a layer, got {count}.")

    def exceeds(v: float) -> float:
        tail = float(erfc(v / math.sqrt(2)))
        return -math.expm1(count * math.log1p(-tail)) if tail < 1 else 1.0

    end = math.sqrt(2 * math.log(count)) + 8
    largest = quad(exceeds, 0, end, points=[end - 8], limit=400)[0]
    return float(largest / ndtri(0.75))
