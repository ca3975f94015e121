"""Fisher information of a censored record, exact at any measuring time.

The states of a receptor up to time T are a counting process, so their information is the expected
sum of squared scores of its rates. Binding has the rate ``k (c + c')``. A receptor that has been
bound for tau leaves at the rate h/S with ``h(tau) = c r exp(-r tau) + c' r' exp(-r' tau)`` and
``S(tau) = c exp(-r tau) + c' exp(-r' tau)``, which depends on c/c' alone. With m(t) the expected
number of bindings by time t, the information about (c, c') is

    m(T) / (c + c')²        counting: the same in all four entries
    + B(T) v vᵀ             telling the ligands apart, with v = (c', -c)

    B(T) = ∫ m(T - tau) h(tau)/(c + c') s(tau)² dtau  over 0 < tau < T
    s(tau) = (r' - r) exp(-(r + r') tau) / (S(tau) h(tau))

A stationary start adds what the first state tells, and its residual stay. For T long against the
correlation times this tends to `long_time_information`; for T -> 0 from a stationary start it is
the information of one snapshot (`snapshot_information`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from axonal.cells.contact.information import ReceptorInformation, distinct
from axonal.cells.contact.kinetics import TwoLigandKinetics
from axonal.cells.contact.records import Start

Floats = NDArray[np.float64]

#: Gauss-Legendre nodes a panel, and by how much each panel is wider than the one before.
NODES, GROWTH = 10, 1.6


def finite_time_information(
    kinetics: TwoLigandKinetics,
    correct: ArrayLike,
    spurious: float,
    duration: float,
    start: Start = "unbound",
) -> ReceptorInformation:
    """Return the information per receptor of a record censored at T.

    Parameters
    ----------
    kinetics
        Rates of the two ligands.
    correct
        ``(receptors,)`` concentrations c_n (1/µm²).
    spurious
        Concentration c' > 0 (1/µm²).
    duration
        Measuring time T (s), of any length.
    start
        Whether every receptor starts unbound, or as found in equilibrium.
    """
    c, back = distinct(correct, spurious)
    total = c + spurious
    counting = kinetics.expected_bindings(c, spurious, duration, start) / total**2
    telling = _telling_apart(kinetics, c, spurious, duration, start)
    cc = counting + telling * spurious**2
    mixed = counting - telling * spurious * c
    plain = counting + telling * c**2
    if start == "stationary":
        partition = kinetics.partition(c, spurious)
        first = 1 / (partition**2 * (partition - 1))
        specific = kinetics.binding / kinetics.unbinding
        unspecific = kinetics.binding / kinetics.spurious_unbinding
        cc = cc + first * specific**2
        mixed = mixed + first * specific * unspecific
        plain = plain + first * unspecific**2
    return ReceptorInformation(cc[back], mixed[back], plain[back])


def snapshot_information(
    correct: ArrayLike, spurious: float, dissociation: float
) -> ReceptorInformation:
    """Return the information per receptor of one look at which receptors are bound.

    The paper's toy model, one species of ligand of concentration C = c + c' with dissociation
    constant K = r/k: ``K / ((C + K)² C)`` in all four entries.
    """
    total = np.asarray(correct, float) + spurious
    alike = dissociation / ((total + dissociation) ** 2 * total)
    return ReceptorInformation(alike, alike, alike)


def _telling_apart(
    kinetics: TwoLigandKinetics, c: Floats, spurious: float, duration: float, start: Start
) -> Floats:
    """Return B(T) for each concentration."""
    excess = kinetics.excess_unbinding
    if excess == 0:
        return np.zeros_like(c)
    r, r_spurious, k = kinetics.unbinding, kinetics.spurious_unbinding, kinetics.binding
    tau, weights = _panels(0.05 / (r_spurious + k * (c.max() + spurious)), duration)
    decay = np.exp(-excess * tau)
    c = c[:, None]
    # All with exp(-r tau) taken out, so that nothing underflows.
    survival = c + spurious * decay
    density = r * c + r_spurious * spurious * decay
    score = excess * decay / (survival * density)
    leaving = kinetics.expected_bindings(c, spurious, duration - tau, start) / (c + spurious)
    total = (leaving * density * score**2) @ (weights * np.exp(-r * tau))
    if start == "stationary":
        # A stay that had begun before: its ligands' weights are c/r and c'/r'.
        held = c / r + spurious / r_spurious * decay
        first = (1 / r - 1 / r_spurious) * decay / (survival * held)
        share = k / kinetics.partition(c, spurious)
        total += (share * survival * first**2) @ (weights * np.exp(-r * tau))
    return total


def _panels(shortest: float, duration: float) -> tuple[Floats, Floats]:
    """Return nodes and weights on [0, duration], in panels that widen away from 0."""
    count = int(np.ceil(np.log(max(duration / shortest, GROWTH)) / np.log(GROWTH)))
    edges = np.r_[0.0, np.minimum(shortest * GROWTH ** np.arange(count), duration), duration]
    edges = np.unique(edges)
    x, w = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(edges)[:, None] / 2
    middle = (edges[:-1, None] + edges[1:, None]) / 2
    return (middle + half * x).ravel(), (half * w).ravel()
