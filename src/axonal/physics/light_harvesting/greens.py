"""Where an excitation spends its time: the population Green's function.

Between two incoherent events the excitation flies coherently. The time it spends on site j during a
flight that starts on site k is

    T_jk = integral_0^inf |<j| exp(-i H_eff t) |k>|^2 dt
         = Re sum_mm' V_jm V_jm'^* C_mm' W_mk W_m'k^*,    C_mm' = 1 / [i (lambda_m - lambda_m'^*)]

with ``H_eff = V diag(lambda) W`` and ``W = V^-1``. Dephasing ends a flight on a site and starts the
next one there, so the integrated populations ``n_j = integral rho_jj dt`` obey

    n = T start + T diag(gamma) n,

a Markov chain of flights, exact for any Hamiltonian, any rates and any disorder. Every flight ends
somewhere: ``sum_j (loss_j + sink_j + gamma_j) T_jk = 1``, which certifies each column.

Three things keep the digits where rates span many orders of magnitude:

- the width of a mode is its own damping, ``-2 Im lambda_m = v_m^+ D v_m / v_m^+ v_m``, a sum of
  positive terms, instead of the small imaginary part of a large eigenvalue;
- the chain is solved by elimination without subtraction (Grassmann, Taksar and Heyman, Operations
  Research 33, 1107 (1985)), so a million dephasing events cost no digits;
- near an exceptional point of H_eff, where V is nearly singular, the flights solve a Lyapunov
  equation by Schur decomposition instead.

Functions here take a flat batch: arrays (batch, sites, sites) and (batch, sites).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.linalg.lapack
from numpy.typing import NDArray

from axonal.errors import AxonalError, InputError

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

#: A column of T whose flights do not all end is computed again by Schur decomposition: nearly
#: parallel eigenvectors (an exceptional point) show here first.
COLUMN_TOLERANCE = 1e-12
#: Flights less likely than this to leave their site are found to few digits by diagonalisation.
SHORTEST_FLIGHT = 1e-5
#: Refinement stops when no population moves by more than this fraction of itself; where the last
#: digits of a tiny one keep moving, all must be settled against the largest.
REFINEMENTS = 24
REFINED = 1e-14
CONVERGED = 1e-10
#: A mode narrower than this, against the largest rate, has no way to decay.
UNDAMPED = 1e-14
WEIGHT_TOLERANCE = 1e-13
#: Bytes of one intermediate array; batches are worked through in blocks that stay in cache.
BLOCK_BYTES = 1 << 19


@dataclass(frozen=True)
class Flights:
    """Times spent on each site during one coherent flight.

    Parameters
    ----------
    first : (batch, sites), of the flight that begins in the start state
    between : (batch, sites, restarts), T_jk of flights that begin on a dephasing site
    restarts : the sites k that dephase in any network of the batch
    by_schur : (batch,), which networks needed the Schur decomposition
    """

    first: Real
    between: Real
    restarts: NDArray[np.intp]
    by_schur: NDArray[np.bool_]


def integrated(
    effective: Complex, loss: Real, dephasing: Real, start: Complex, names: tuple[str, ...]
) -> Real:
    """Return the integrated populations n_j = integral rho_jj dt, (batch, sites).

    Parameters
    ----------
    effective : (batch, sites, sites), the effective Hamiltonian
    loss : (batch, sites), every rate out of the network: losses and sink
    dephasing : (batch, sites)
    start : (batch, sites, sites), the initial density matrix
    names : names of the sites, for messages
    """
    count = effective.shape[-1]
    block = max(1, BLOCK_BYTES // (16 * count**2))
    populations = np.empty(loss.shape)
    for begin in range(0, len(loss), block):
        part = slice(begin, begin + block)
        flown = flights(effective[part], loss[part], dephasing[part], start[part], names)
        populations[part] = resummed(flown, loss[part], dephasing[part])
    return populations


def flights(
    effective: Complex, loss: Real, dephasing: Real, start: Complex, names: tuple[str, ...]
) -> Flights:
    """Return the flight times of a batch; by diagonalisation where that is safe, else by Schur."""
    damping = loss + dephasing
    restarts = np.flatnonzero(dephasing.any(axis=0))
    modes = decay_modes(effective, damping)
    kernel = _kernel(modes, damping, start, names)
    sources = modes.left @ start @ modes.left.conj().swapaxes(-1, -2)
    first = _diagonal_of(modes.right, kernel * sources)
    between = _between(modes, kernel, restarts)
    # Probabilities of where each flight ends, and of its ending elsewhere than it began.
    unended = np.abs(np.einsum("bj,bj->b", damping, first) - 1)
    ending = damping[:, :, None] * between
    moved = ending.sum(axis=1) - ending[:, restarts, range(len(restarts))]
    lost_track = np.abs(ending.sum(axis=1) - 1)
    begins = dephasing[:, restarts] > 0
    # Written so that a NaN counts as unsafe.
    safe = (
        (unended <= COLUMN_TOLERANCE)
        & ((lost_track <= COLUMN_TOLERANCE) | ~begins).all(axis=1)
        & ((moved >= SHORTEST_FLIGHT) | ~begins).all(axis=1)
    )
    count = len(names)
    for item in np.flatnonzero(~safe):
        solve = lyapunov_solver(effective[item])
        first[item] = np.diag(solve(start[item])).real
        for column, site in enumerate(restarts):
            source = np.zeros((count, count), complex)
            source[site, site] = 1.0
            between[item, :, column] = np.diag(solve(source)).real
    return Flights(first, between, restarts, ~safe)


def resummed(flown: Flights, loss: Real, dephasing: Real) -> Real:
    """Solve n = T start + T diag(gamma) n for the integrated populations, (batch, sites)."""
    restarts = flown.restarts
    if restarts.size == 0:
        return flown.first
    gamma = dephasing[:, restarts]
    # From dephasing at k: the next event is dephasing at j, or the excitation is gone.
    passage = gamma[:, :, None] * flown.between[:, restarts, :]
    gone = np.einsum("bj,bjk->bk", loss, flown.between)
    events = absorbing_chain(passage, gone, gamma * flown.first[:, restarts])
    populations = flown.first + np.einsum("bjk,bk->bj", flown.between, events)
    dephases = gamma > 0
    populations[:, restarts] = np.where(
        dephases, events / np.where(dephases, gamma, 1.0), populations[:, restarts]
    )
    return populations


def absorbing_chain(passage: Real, gone: Real, arrivals: Real) -> Real:
    """Return the expected visits of each state of an absorbing Markov chain.

    Solves ``visits_j = arrivals_j + sum_k passage_jk visits_k`` where
    ``1 - sum_j passage_jk = gone_k``, by elimination that only adds, multiplies and divides
    positive numbers: the small chance to leave is never found as one minus something near one.

    Parameters
    ----------
    passage : (batch, states, states), probability of k -> j; its diagonal is not used
    gone : (batch, states), probability that k ends the chain
    arrivals : (batch, states)
    """
    passage, gone, visits = passage.copy(), gone.copy(), arrivals.copy()
    pivots = np.empty_like(gone)
    states = gone.shape[-1]
    for last in range(states - 1, -1, -1):
        pivots[:, last] = gone[:, last] + passage[:, :last, last].sum(axis=1)
        if not (pivots[:, last] > 0).all():
            raise AxonalError(
                "The excitation can wander for ever: some dephasing sites reach no loss and no "
                "sink. Give every connected part of the network a rate of loss or a sink."
            )
        share = passage[:, last, :last] / pivots[:, last, None]
        passage[:, :last, :last] += passage[:, :last, last, None] * share[:, None, :]
        gone[:, :last] += gone[:, last, None] * share
        visits[:, :last] += passage[:, :last, last] * (visits[:, last] / pivots[:, last])[:, None]
    for state in range(states):
        visits[:, state] += np.einsum("bk,bk->b", passage[:, state, :state], visits[:, :state])
        visits[:, state] /= pivots[:, state]
    return visits


@dataclass(frozen=True)
class DecayModes:
    """Eigenmodes of a batch of effective Hamiltonians.

    Parameters
    ----------
    values : (batch, modes), eigenvalues; minus twice the imaginary part is the mode's width
    right, left : (batch, sites, modes) and (batch, modes, sites), V and its inverse
    """

    values: Complex
    right: Complex
    left: Complex


def decay_modes(effective: Complex, damping: Real) -> DecayModes:
    """Diagonalise a batch of effective Hamiltonians; each mode's width is its own damping."""
    values, right = (np.asarray(part, complex) for part in np.linalg.eig(effective))
    left = _inverse(right)
    width = np.einsum("bj,bjm->bm", damping, np.abs(right) ** 2)
    return DecayModes(np.real(values) - 0.5j * width, right, left)


def lyapunov_solver(effective: Complex) -> Callable[[Complex], Complex]:
    """Return a solver of -i H_eff X + i X H_eff^+ = -source, for any source, by one Schur form.

    The effective Hamiltonian may be defective: nothing is divided by a difference of eigenvectors.
    Refinement against the equation itself, with X kept Hermitian, makes every entry accurate to
    its own digits, even a population 1e-12 of the largest one.
    """
    triangular, unitary = scipy.linalg.schur(-1j * effective, output="complex")[:2]
    sylvester = scipy.linalg.lapack.ztrsyl  # pyright: ignore[reportAttributeAccessIssue]

    def once(source: Complex) -> Complex:
        rotated = unitary.conj().T @ -source @ unitary
        solved = sylvester(triangular, triangular, rotated, tranb="C")
        solution = unitary @ (solved[0] / solved[1]) @ unitary.conj().T
        return (solution + solution.conj().T) / 2

    def solve(source: Complex) -> Complex:
        solution = correction = once(source)
        for _ in range(REFINEMENTS):
            flow = effective @ solution
            correction = once(source - 1j * (flow - flow.conj().T))
            solution = solution + correction
            if (np.abs(np.diag(correction)) <= REFINED * np.abs(np.diag(solution))).all():
                return solution
        if np.abs(np.diag(correction)).max() <= CONVERGED * np.abs(np.diag(solution)).max():
            return solution
        raise InputError(
            "A mode of the network has, to rounding, no way to decay. Give its sites a rate of "
            "loss, dephasing or a sink."
        )

    return solve


def _kernel(modes: DecayModes, damping: Real, start: Complex, names: tuple[str, ...]) -> Complex:
    """Return C_mm'. Modes that never decay are left out where the start state has none of them."""
    undamped = -2 * modes.values.imag <= UNDAMPED * damping.max(axis=1, keepdims=True)
    gap = 1j * (modes.values[:, :, None] - modes.values[:, None, :].conj())
    if not undamped.any():
        return 1 / gap
    right = modes.right
    weight = np.einsum("bjm,bjk,bkm->bm", right.conj(), start, right).real
    held = undamped & (weight > WEIGHT_TOLERANCE)
    if held.any():
        item, mode = np.argwhere(held)[0]
        share = np.abs(right[item, :, mode]) ** 2
        largest = np.argsort(-share, kind="stable")[:3]
        sites = ", ".join(names[j] for j in sorted(largest) if share[j] > 0.01)
        raise InputError(
            f"Mode {mode} of the network (energy {modes.values[item, mode].real:.6g} from the "
            f"mean, mostly on {sites}) has no way to decay, and the start state has weight "
            f"{weight[item, mode]:.3g} in it: that part never leaves. Give its sites a rate of "
            "loss, dephasing or a sink."
        )
    apart = undamped[:, :, None] | undamped[:, None, :]
    return np.where(apart, 0.0, 1 / np.where(apart, 1.0, gap))


def _between(modes: DecayModes, kernel: Complex, restarts: NDArray[np.intp]) -> Real:
    """Return T_jk for the restarts k, (batch, sites, restarts).

    Swapping m and m' conjugates a term, so half of them, in real arithmetic, are the sum.
    """
    right, left = modes.right, modes.left[:, :, restarts]
    batch, count, _ = right.shape
    times = np.zeros((batch, count, len(restarts)))
    for mode in range(count):
        weight = kernel[:, mode:, mode].copy()
        weight[:, 1:] *= 2
        of_right = right[:, :, mode:] * weight[:, None] * right[:, :, mode, None].conj()
        of_left = left[:, mode:] * left[:, mode, None].conj()
        times += of_right.real @ of_left.real - of_right.imag @ of_left.imag
    return times


def _diagonal_of(right: Complex, middle: Complex) -> Real:
    """Return the diagonal of V M V^+, (batch, sites)."""
    return np.einsum("bjm,bjm->bj", right @ middle, right.conj()).real


def _inverse(matrices: Complex) -> Complex:
    """Invert a batch; an exactly singular matrix (a defective Hamiltonian) gives NaN."""
    inverses = np.full_like(matrices, np.nan)
    try:
        inverses[:] = np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        for item, matrix in enumerate(matrices):
            if np.linalg.matrix_rank(matrix) == len(matrix):
                inverses[item] = np.linalg.inv(matrix)
    return inverses
