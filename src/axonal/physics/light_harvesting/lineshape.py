"""The shape of a resonance: its peak, where it sits, and how wide it is, told in two ways.

Under dephasing a line stands on a pedestal: light of any detuning is carried incoherently. Half the
height can then be counted from zero (until the pedestal itself exceeds half the peak and no such
width exists) or from the pedestal.

Without dephasing and with a photon line narrower than all else the line is a Lorentzian of half
width ``h^2 = X^2 Gamma / kappa + Gamma^2 / 4`` about the acceptor, with ``X = sqrt(N) xi``, the sink
rate Gamma and the loss kappa of the ring; its height is ``C/(1 + C)``, ``C = 4 X^2/(kappa Gamma)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from axonal.errors import InputError
from axonal.physics.light_harvesting.trimer import Trimer


@dataclass(frozen=True)
class LineShape:
    """A resonance against detuning.

    Parameters
    ----------
    peak, position : the largest efficiency and its detuning
    width : full width at half of the peak; NaN where the line never falls that far
    width_above_pedestal : full width halfway between pedestal and peak
    pedestal : efficiency far from resonance
    """

    peak: float
    position: float
    width: float
    width_above_pedestal: float
    pedestal: float


def line_shape(
    detuning: NDArray[np.float64], efficiency: NDArray[np.float64], pedestal: float
) -> LineShape:
    """Measure a sampled line, (points,) against ascending detuning."""
    if detuning.shape != efficiency.shape or detuning.ndim != 1:
        raise InputError(
            f"detuning and efficiency must be (points,), got {detuning.shape}, {efficiency.shape}."
        )
    if not (np.diff(detuning) > 0).all():
        raise InputError("detuning must ascend.")
    best = int(efficiency.argmax())
    peak = float(efficiency[best])

    def width(level: float) -> float:
        below = np.flatnonzero(efficiency < level)
        left, right = below[below < best], below[below > best]
        if not (left.size and right.size):
            return float("nan")
        return _crossing(detuning, efficiency, level, right[0] - 1) - _crossing(
            detuning, efficiency, level, left[-1]
        )

    return LineShape(
        peak, float(detuning[best]), width(peak / 2), width((peak + pedestal) / 2), pedestal
    )


def lorentzian_line(trimer: Trimer) -> tuple[float, float]:
    """Return height and full width of the narrowband line without dephasing."""
    x2 = float(trimer.acceptor_coupling) ** 2  # pyright: ignore[reportArgumentType]
    kappa, sink = float(trimer.ring_loss), float(trimer.sink)  # pyright: ignore[reportArgumentType]
    cooperativity = 4 * x2 / (kappa * sink)
    return cooperativity / (1 + cooperativity), 2 * float(np.sqrt(x2 * sink / kappa + sink**2 / 4))


def _crossing(
    detuning: NDArray[np.float64], efficiency: NDArray[np.float64], level: float, before: int
) -> float:
    """Return where the line passes a level between two neighbouring points."""
    here, there = efficiency[before], efficiency[before + 1]
    share = (level - here) / (there - here)
    return float(detuning[before] + share * (detuning[before + 1] - detuning[before]))
