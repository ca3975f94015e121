"""The compiled inner loop: neighbour lists with a skin, soft repulsion, one step after another.

A list of pairs closer than cut-off + skin holds until some particle has moved half the skin; it is
built from cells of that size, or from all pairs where there are few particles or few cells.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SKIN = 0.8
_ALL_PAIRS = 72  # particles; below, looking at every pair is quicker than sorting into cells


@njit(nogil=True, cache=True)
def advance(
    x, g, rng, steps, dt, speed, rate, diffusion, stiffness, trap, beta, half_width, cutoff, heun
):
    """Advance positions and activities ``(N, 2)`` in place by a number of steps.

    Returns how often the neighbour list was built, or -1 if the positions are no longer finite.
    """
    count = x.shape[0]
    kick = np.sqrt(2 * diffusion * dt)
    keep = np.exp(-rate * dt)
    refresh = np.sqrt(-np.expm1(-2 * rate * dt))
    moved = np.zeros((count, 2))
    force = np.zeros((count, 2))
    drift = np.zeros((count, 2))
    starts, others = neighbour_list(x, half_width, cutoff + SKIN)
    built = 1
    for _ in range(steps):
        repel(x, force, starts, others, stiffness, beta, half_width, cutoff)
        for i in range(count):
            for k in range(2):
                drift[i, k] = speed * g[i, k] + force[i, k] - trap * x[i, k]
                shift = dt * drift[i, k]
                if kick > 0:
                    shift += kick * rng.standard_normal()
                moved[i, k] += shift
                x[i, k] = wrap(x[i, k] + shift, half_width)
                g[i, k] = keep * g[i, k] + refresh * rng.standard_normal()
        if heun:  # the mean of the drifts at both ends of the step
            repel(x, force, starts, others, stiffness, beta, half_width, cutoff)
            for i in range(count):
                for k in range(2):
                    end = speed * g[i, k] + force[i, k] - trap * x[i, k]
                    shift = dt * (end - drift[i, k]) / 2
                    moved[i, k] += shift
                    x[i, k] = wrap(x[i, k] + shift, half_width)
        farthest = 0.0
        for i in range(count):
            square = moved[i, 0] ** 2 + moved[i, 1] ** 2
            if not square <= farthest:
                farthest = square
        if not np.isfinite(farthest):
            return -1
        if farthest > (SKIN / 2) ** 2:
            starts, others = neighbour_list(x, half_width, cutoff + SKIN)
            moved[:] = 0.0
            built += 1
    return built


@njit(nogil=True, cache=True)
def repel(x, force, starts, others, stiffness, beta, half_width, cutoff):
    """Write the sum of forces on each particle, from a list that holds each pair once."""
    force[:] = 0.0
    for i in range(x.shape[0]):
        fx, fy = 0.0, 0.0
        for at in range(starts[i], starts[i + 1]):
            j = others[at]
            dx = image(x[i, 0] - x[j, 0], half_width)
            dy = image(x[i, 1] - x[j, 1], half_width)
            square = dx * dx + dy * dy
            if square >= cutoff * cutoff or square == 0.0:
                continue
            distance = np.sqrt(square)
            z = beta * (2.0 - distance)
            # log(1 + e^z) without overflow
            strength = (max(z, 0.0) + np.log1p(np.exp(-abs(z)))) * stiffness / (beta * distance)
            fx += strength * dx
            fy += strength * dy
            force[j, 0] -= strength * dx
            force[j, 1] -= strength * dy
        force[i, 0] += fx
        force[i, 1] += fy


@njit(nogil=True, cache=True)
def neighbour_list(x, half_width, reach):
    """Return each pair closer than `reach` once, by its first particle: starts, others."""
    count = x.shape[0]
    starts = np.zeros(count + 1, np.int64)
    others = np.empty(8 * count, np.int64)
    low0, low1, width0, width1, cells0, cells1 = grid_of(x, half_width, reach)
    periodic = half_width > 0
    found = 0
    if count <= _ALL_PAIRS or (periodic and min(cells0, cells1) < 3):
        for i in range(count):
            for j in range(i + 1, count):
                found, others = note(x, i, j, half_width, reach, others, found)
            starts[i + 1] = found
        return starts, others
    cell = np.empty((count, 2), np.int64)
    first = np.full((cells0, cells1), -1, np.int64)
    following = np.full(count, -1, np.int64)
    for i in range(count):
        cell[i, 0] = min(int((x[i, 0] - low0) / width0), cells0 - 1)
        cell[i, 1] = min(int((x[i, 1] - low1) / width1), cells1 - 1)
        following[i] = first[cell[i, 0], cell[i, 1]]
        first[cell[i, 0], cell[i, 1]] = i
    for i in range(count):
        for step0 in range(-1, 2):
            for step1 in range(-1, 2):
                c0, c1 = cell[i, 0] + step0, cell[i, 1] + step1
                if periodic:
                    c0, c1 = c0 % cells0, c1 % cells1
                elif c0 < 0 or c1 < 0 or c0 >= cells0 or c1 >= cells1:
                    continue
                j = first[c0, c1]
                while j >= 0:
                    if j > i:
                        found, others = note(x, i, j, half_width, reach, others, found)
                    j = following[j]
        starts[i + 1] = found
    return starts, others


@njit(nogil=True, cache=True)
def note(x, i, j, half_width, reach, others, found):
    """Append `j` if it is near `i`; return how many there are, and the list, grown if it was full."""
    dx = image(x[i, 0] - x[j, 0], half_width)
    dy = image(x[i, 1] - x[j, 1], half_width)
    if dx * dx + dy * dy < reach * reach:
        if found == others.shape[0]:
            grown = np.empty(2 * found, np.int64)
            grown[:found] = others
            others = grown
        others[found] = j
        found += 1
    return found, others


@njit(nogil=True, cache=True)
def grid_of(x, half_width, reach):
    """Return the grid's lower corner, the sides of a cell and the cells along both axes."""
    if half_width > 0:
        cells = max(1, int(2 * half_width / reach))
        width = 2 * half_width / cells
        return -half_width, -half_width, width, width, cells, cells
    low0, low1 = x[:, 0].min(), x[:, 1].min()
    span0, span1 = x[:, 0].max() - low0, x[:, 1].max() - low1
    most = int(np.sqrt(x.shape[0])) + 1  # a particle far away shall not make a grid of thousands
    cells0 = min(most, max(1, int(span0 / reach)))
    cells1 = min(most, max(1, int(span1 / reach)))
    return low0, low1, max(span0, reach) / cells0, max(span1, reach) / cells1, cells0, cells1


@njit(nogil=True, cache=True)
def image(shift, half_width):
    """Return the nearest image of a difference of two wrapped coordinates."""
    if half_width > 0:
        if shift > half_width:
            return shift - 2 * half_width
        if shift < -half_width:
            return shift + 2 * half_width
    return shift


@njit(nogil=True, cache=True)
def wrap(place, half_width):
    """Return a coordinate inside ``[-w, w)``."""
    if half_width > 0:
        width = 2 * half_width
        if place >= half_width or place < -half_width:
            place -= width * np.floor((place + half_width) / width)
            if place >= half_width:  # rounding
                place = -half_width
    return place


@njit(nogil=True, cache=True)
def advance_ring(z, rng, steps, dt, speed, rate, diffusion, stiffness, beta, half_width):
    """Advance states ``(n, 2)`` of the ring of two swimmers in place."""
    kick = np.sqrt(2 * diffusion * dt)
    keep = np.exp(-rate * dt)
    refresh = np.sqrt(-np.expm1(-2 * rate * dt))
    width = 2 * half_width
    for i in range(z.shape[0]):
        x, g = z[i, 0], z[i, 1]
        for _ in range(steps):
            near = min(x, width - x)
            force = 0.0
            if beta * (2.0 - near) > -40.0 and x != 0.0:
                push = beta * (2.0 - near)
                force = stiffness * (max(push, 0.0) + np.log1p(np.exp(-abs(push)))) / beta
                if x > half_width:
                    force = -force
            x += dt * (speed * g + force) + kick * rng.standard_normal()
            g = keep * g + refresh * rng.standard_normal()
            if x >= width or x < 0.0:
                x -= width * np.floor(x / width)
                if x >= width:  # rounding
                    x = 0.0
        z[i, 0], z[i, 1] = x, g
