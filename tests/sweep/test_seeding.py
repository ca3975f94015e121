"""Random numbers depend on the seed, the point's coordinates and the repeat, and on nothing else."""

import numpy as np
import pytest

from axonal.sweep import Streams, point_rng, sweep
from axonal.sweep.seeding import coordinate_hash, generator, spawn_key


def noise(a, b=0.0, rng=None):
    return rng.normal(size=3)


def noise_rows(a, b, rng):
    return rng.normal(size=3)


A, B = [0.0, 0.5, 1.0], [1, 2]


def test_adding_a_grid_point_leaves_the_bits_of_the_others():
    few = sweep(noise, {"a": A, "b": B}, repeats=2)
    many = sweep(noise, {"a": [-1.0, *A, 7.0], "b": [*B, 3]}, repeats=3)
    assert many.sel(a=A, b=B, repeat=[0, 1]).equals(few)


def test_the_order_of_axes_and_values_makes_no_difference():
    one = sweep(noise, {"a": A, "b": B})
    other = sweep(noise, {"b": B[::-1], "a": A[::-1]})
    np.testing.assert_array_equal(
        one["value"], other["value"].sel(a=A, b=B).transpose("a", "b", ...)
    )


def test_zipped_and_multiplied_axes_give_a_point_the_same_numbers():
    product = sweep(noise, {"a": A, "b": B})
    zipped = sweep(noise, {("a", "b"): ([0.5, 1.0], [2, 1])})
    np.testing.assert_array_equal(zipped["value"][0], product["value"].sel(a=0.5, b=2))
    np.testing.assert_array_equal(zipped["value"][1], product["value"].sel(a=1.0, b=1))


def test_blocks_draw_what_single_points_draw():
    single = sweep(noise, {"a": A, "b": B}, repeats=3)
    for block in (1, 4, None):
        rows = sweep(noise_rows, {"a": A, "b": B}, repeats=3, vectorized=True, block=block)
        assert rows.equals(single)


def test_a_single_point_can_be_run_again_with_its_own_generator():
    data = sweep(noise, {"a": A, "b": B}, repeats=3, seed=5)
    rng = point_rng(5, {"b": 2, "a": 0.5}, repeat=2)
    np.testing.assert_array_equal(noise(0.5, 2, rng), data["value"].sel(a=0.5, b=2, repeat=2))


def test_seeds_points_and_repeats_all_draw_different_numbers():
    drawn = [sweep(noise, {"a": A, "b": B}, repeats=4, seed=s)["value"].values for s in (0, 1)]
    assert len(np.unique(drawn)) == 2 * 3 * 2 * 4 * 3


def test_common_axes_share_their_random_numbers():
    data = sweep(noise, {"a": A, "b": B}, repeats=2, common=["a"])["value"]
    assert (data == data.isel(a=0)).all()
    assert not (data.isel(b=0) == data.isel(b=1)).any()


def test_equal_numbers_hash_equally_and_nothing_else_does():
    assert (coordinate_hash("a", 1) == coordinate_hash("a", 1.0)).all()
    assert (coordinate_hash("a", 0.0) == coordinate_hash("a", -0.0)).all()
    values = [1, 1.5, True, "1", "True", 2**53 + 1, 2.0**53, 1j, np.inf]
    hashes = {tuple(coordinate_hash(name, v).tolist()) for name in "ab" for v in values}
    assert len(hashes) == 2 * len(values)


def test_streams_stack_what_each_generator_draws():
    key = coordinate_hash("a", 1)
    streams = Streams([generator(3, spawn_key(key, r)) for r in range(4)])
    expected = [generator(3, spawn_key(key, r)).uniform(size=2) for r in range(4)]
    np.testing.assert_array_equal(streams.uniform(size=2), expected)
    assert streams[1:3].integers(10).shape == (2,)
    with pytest.raises(AttributeError, match="no method 'gauss'"):
        streams.gauss()
