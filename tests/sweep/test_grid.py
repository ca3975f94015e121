"""A grid is labelled: product of axes, zipped names, labels for objects; bad input is one sentence."""

import numpy as np
import pytest
import xarray as xr

from axonal.errors import InputError
from axonal.sweep import Follow, sweep


def product(a, b):
    return a * b


def three(a, b, c):
    return {"total": a + b + c, "profile": np.arange(4) * a}


def test_axes_multiply_and_carry_their_coordinates_and_units():
    force = xr.DataArray([0.5, 1.0], attrs={"units": "kT/nm"})
    data = sweep(product, {"a": force, "b": [1, 2, 3]}, units={"value": "1/s", "b": "nm"})
    assert data["value"].dims == ("a", "b")
    assert float(data["value"].sel(a=0.5, b=3)) == 1.5
    assert data["a"].attrs["units"] == "kT/nm"
    assert (data["b"].attrs["units"], data["value"].attrs["units"]) == ("nm", "1/s")


def test_names_in_a_tuple_vary_together():
    data = sweep(three, {("a", "b"): ([1, 2], [10, 20]), "c": [0, 100, 200]})
    assert data["total"].dims == ("a_b", "c")
    assert data["b"].dims == ("a_b",)
    np.testing.assert_array_equal(data["total"], [[11, 111, 211], [22, 122, 222]])


def test_a_mapping_labels_values_that_are_not_numbers():
    def apply(law, x):
        return law(x)

    data = sweep(apply, {"law": {"square": np.square, "root": np.sqrt}, "x": [4.0, 9.0]})
    assert data["value"].sel(law="root", x=9.0) == 3.0
    assert data["value"].sel(law="square", x=4.0) == 16.0


def test_array_outputs_get_the_dimensions_they_are_given():
    data = sweep(
        three,
        {"a": [1, 2]},
        fixed={"b": 0, "c": 0},
        dims={"profile": ["z"]},
        coords={"z": [0.0, 0.1, 0.2, 0.3]},
    )
    assert data["profile"].dims == ("a", "z")
    assert data["profile"].sel(a=2, z=0.3) == 6


def test_blocks_of_a_vectorised_function_give_what_single_calls_give():
    over = {"a": np.linspace(0, 1, 30), "b": np.linspace(2, 3, 70)}
    single = sweep(product, over)
    for block in (None, 1, 7, 5000):
        assert sweep(product, over, vectorized=True, block=block).equals(single)


def test_integers_strings_and_complex_numbers_keep_their_type():
    def mixed(a):
        return {"count": a, "word": "x" * a, "wave": a + 1j, "flag": a > 1}

    data = sweep(mixed, {"a": [1, 2, 3]})
    assert [data[name].dtype.kind for name in ("count", "word", "wave", "flag")] == list("iUcb")
    assert data["word"].values.tolist() == ["x", "xx", "xxx"]


def test_a_sweep_survives_netcdf(tmp_path):
    data = sweep(three, {"a": [1, 2], "b": [1.0]}, fixed={"c": 0})
    data.to_netcdf(tmp_path / "sweep.nc")
    with xr.open_dataset(tmp_path / "sweep.nc") as again:
        assert again.equals(data)
        assert again.attrs["provenance"] == data.attrs["provenance"]


def shapes(a, b=0):
    return np.zeros(a)


@pytest.mark.parametrize(
    ("over", "options", "words"),
    [
        ({"a": []}, {}, "'a' is empty"),
        ({"a": [1.0, 2.0, 1.0]}, {}, "a = 1.0 stands twice"),
        ({"a": [1.0, np.nan]}, {}, "number 1 is NaN"),
        ({"a": [[1.0, 2.0]]}, {}, r"got shape \(1, 2\)"),
        ({"a": [None]}, {}, "label other values with a mapping"),
        ({("a", "b"): ([1, 2], [1, 2, 3])}, {}, "a has 2, b has 3"),
        ({("a", "b"): [[1, 2, 3]]}, {}, "one array of values for each of the 2 names"),
        ({"a": [1], ("a", "b"): ([1], [2])}, {}, "'a' stands on two axes"),
        ({"a": [1], "c": [2]}, {}, "no parameter 'c'"),
        ({"b": [1]}, {}, "needs a"),
        ({"repeat": [1]}, {}, "cannot name an axis"),
        ({"a": [1, 2]}, {}, r"shape \(2,\) at a = 2"),
        ({"a": [1]}, {"fixed": {"a": 2}}, "both fixed and an axis"),
        ({"a": [1]}, {"units": {"valeu": "m"}}, "did you mean value"),
        ({"a": [1]}, {"dims": {"value": ["x", "y"]}}, "dims or coords do not fit"),
        (
            {"a": [2]},
            {"dims": {"value": ["x"]}, "coords": {"x": [1, 2, 3]}},
            "dims or coords do not fit",
        ),
        ({"a": [1]}, {"coords": {"a": [5]}}, "'a' names an axis"),
        ({("a", "b"): Follow([1, 2])}, {}, "one parameter with plain values"),
        ({"a": [1]}, {"repeats": 3}, "no parameter 'rng'"),
        ({"a": [1]}, {"backend": "proceses"}, "did you mean processes.*serial"),
        ({"a": [1]}, {"backend": "slurm"}, "pass an executor"),
        ({"a": [1]}, {"jobs": 0}, "jobs = 0"),
        ({"a": [1]}, {"on_error": "ignore"}, "'record' or 'raise'"),
        ({"a": [1]}, {"progress": "bar"}, "'text', 'json' or a function"),
        ({"a": [1], "b": Follow([1, 2])}, {}, "no parameter 'start'"),
    ],
)
def test_bad_input_is_answered_with_one_sentence(over, options, words):
    with pytest.raises(InputError, match=words):
        sweep(shapes, over, **options)


def test_a_result_that_is_no_number_names_the_point():
    with pytest.raises(InputError, match="value = None at a = 3"):
        sweep(lambda a: None, {"a": [3]})


def test_a_vectorised_function_that_returns_another_length_is_told_so():
    with pytest.raises(InputError, match=r"shape \(\) for a block of 3 points"):
        sweep(lambda a: 1.0, {"a": [1, 2, 3]}, vectorized=True)
