"""The shape of a line: known widths, pedestals, and the narrowband limit of the closed form."""

from __future__ import annotations

import numpy as np
import pytest

from axonal.errors import InputError
from axonal.physics.light_harvesting import (
    line_shape,
    lorentzian_line,
    ring_acceptor,
    trimer_efficiency,
    trimer_of,
)

DETUNING = np.linspace(-5, 5, 20_001)


def lorentzian(half_width: float, height: float, pedestal: float = 0.0) -> np.ndarray:
    return pedestal + height / (1 + (DETUNING / half_width) ** 2)


def test_a_lorentzian_has_its_width_its_peak_and_its_place():
    shape = line_shape(DETUNING, lorentzian(0.3, 0.8), pedestal=0.0)
    np.testing.assert_allclose(
        [shape.peak, shape.position, shape.width, shape.width_above_pedestal],
        [0.8, 0.0, 0.6, 0.6],
        atol=1e-6,
    )


def test_above_a_pedestal_the_width_is_that_of_what_stands_on_it():
    low = line_shape(DETUNING, lorentzian(0.3, 0.8, 0.1), pedestal=0.1)
    np.testing.assert_allclose(low.width_above_pedestal, 0.6, atol=1e-6)
    assert low.width > 0.6
    high = line_shape(DETUNING, lorentzian(0.3, 0.4, 0.5), pedestal=0.5)
    np.testing.assert_allclose(high.width_above_pedestal, 0.6, atol=1e-6)
    assert np.isnan(high.width)


def test_narrowband_line_of_the_closed_form_has_the_predicted_height_and_width():
    ring = ring_acceptor(J=1e-6)
    trimer = trimer_of(ring)
    assert trimer is not None
    height, width = lorentzian_line(trimer)
    shape = line_shape(DETUNING, trimer_efficiency(ring, DETUNING).efficiency, pedestal=0.0)
    np.testing.assert_allclose([shape.peak, shape.width], [height, width], rtol=1e-5)


def test_samples_that_are_no_line():
    with pytest.raises(InputError, match="ascend"):
        line_shape(DETUNING[::-1], lorentzian(1, 1), 0.0)
    with pytest.raises(InputError, match=r"must be \(points,\)"):
        line_shape(DETUNING[1:], lorentzian(1, 1), 0.0)
