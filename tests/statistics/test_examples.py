"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from axonal import statistics


@pytest.mark.parametrize(
    "name", [module.name for module in pkgutil.iter_modules(statistics.__path__)]
)
def test_examples_of_the_docstrings_are_true(name):
    module = importlib.import_module(f"axonal.statistics.{name}")
    assert doctest.testmod(module).failed == 0
