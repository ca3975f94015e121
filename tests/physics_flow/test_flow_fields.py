"""Regions, fields on grids and radii, centred clusters, and trajectories read from files."""

from __future__ import annotations

import sys

import gsd.hoomd
import numpy as np
import pytest
import xarray as xr

from axonal.errors import InputError, MissingDependencyError
from axonal.physics.active_matter import (
    ActiveOrnsteinUhlenbeck,
    along_radius,
    by_region,
    centred,
    circular_mean,
    neighbours_within,
    on_grid,
    read_states,
    regions,
    states_of,
)

SYSTEM = ActiveOrnsteinUhlenbeck(
    particles=30, speed=0.25, persistence_rate=0.05, packing=0.3, diffusion=0.1
)
W = SYSTEM.half_width


@pytest.fixture(scope="module")
def states() -> xr.DataArray:
    return SYSTEM.sample(2, 3, burn_in=5, spacing=2.0, step=0.1, seed=0)


@pytest.fixture
def values(states):
    return np.random.default_rng(1).normal(1, 2, states.shape[:2])


def test_neighbours_are_counted_around_the_box_and_include_oneself():
    w = 10.0
    x = np.array([[-9.9, 0.0], [9.9, 0.0], [9.9, 2.0], [0.0, 0.0]])
    np.testing.assert_array_equal(neighbours_within(x, w, 2.4), [3, 3, 3, 1])
    np.testing.assert_array_equal(neighbours_within(x, None, 2.4), [1, 2, 2, 1])
    np.testing.assert_array_equal(neighbours_within(np.stack([x, x]), w, 2.4).shape, (2, 4))
    with pytest.raises(InputError, match="reach"):
        neighbours_within(x, w, 11.0)


def test_regions_follow_the_cut_offs_of_the_neighbour_count():
    centre = np.array([[0, 0], [2, 0], [-2, 0], [0, 2], [0, -2]], dtype=float)
    alone = np.array([[8, 8], [-8, -8], [-8, 6]], dtype=float)
    system = SYSTEM.with_(particles=8, packing=0.05)
    place = np.concatenate([centre, alone])[None]
    where = regions(system, states_of(system, place, place * 0))
    # The middle has four about it; those about it have one another only across, out of reach.
    assert where.values[0].tolist() == ["solid"] + ["gas"] * 7
    with pytest.raises(InputError, match="reach"):
        regions(system, states_of(system, place, place * 0), reach=-1.0)


def test_regional_means_and_shares_sum_to_the_whole(states, values):
    where = regions(SYSTEM, states)
    found = by_region(xr.DataArray(values, dims=where.dims), where)
    assert float(found.share.sum()) == pytest.approx(1)
    seen = found.share > 0
    whole = float((found["mean"] * found.share).where(seen).sum())
    assert whole == pytest.approx(values.mean())
    with pytest.raises(InputError, match="same"):
        by_region(xr.DataArray(values[:1], dims=where.dims), where)


def test_a_region_without_particles_has_no_mean():
    where = xr.DataArray([["gas", "gas"]], dims=("sample", "particle"))
    found = by_region(xr.DataArray([[1.0, 3.0]], dims=where.dims), where)
    assert np.isnan(float(found["mean"].sel(region="solid")))
    assert float(found["mean"].sel(region="gas")) == 2.0


def test_a_density_on_a_grid_sums_to_the_total(states, values):
    x = states.sel(variable="x").values
    field = on_grid(values, x, (-W, W), bins=7)
    total = float(field.sum()) * field.area
    assert total == pytest.approx(values.sum(axis=1).mean(), rel=1e-6)
    mean = on_grid(values, x, (-W, W), bins=1, per_particle=True)
    assert float(mean[0, 0]) == pytest.approx(values.mean())
    sparse = on_grid(values, x, (-W, W), bins=7, per_particle=True, least=1000)
    assert np.isnan(sparse.values).all()
    with pytest.raises(InputError, match="bins"):
        on_grid(values, x, (W, -W))
    with pytest.raises(InputError, match="positions"):
        on_grid(values, x[:, :3], (-W, W))


def test_rings_sum_to_the_total(states, values):
    x = states.sel(variable="x").values
    found = along_radius(values, x, bins=9)
    width = float(found.radius[1] - found.radius[0])
    area = 2 * np.pi * found.radius * width
    total = float((found.density * area).sum())
    assert total == pytest.approx(values.sum(axis=1).mean(), rel=1e-6)
    assert float((found.number * area).sum()) == pytest.approx(30)


def test_the_circular_mean_moves_with_the_places():
    rng = np.random.default_rng(0)
    place = rng.normal(0, 1, (40, 2))
    moved = (place + 9.5 + 10) % 20 - 10
    shift = (circular_mean(moved, 10.0) - circular_mean(place, 10.0) - 9.5 + 10) % 20 - 10
    np.testing.assert_allclose(shift, 0, atol=1e-12)


def test_centring_puts_the_cluster_in_the_middle_and_keeps_distances(states):
    found = centred(SYSTEM, states)
    where = regions(SYSTEM, states)
    np.testing.assert_array_equal(where.values, regions(SYSTEM, found).values)
    solid = where.values[0] == "solid"
    if solid.any():
        middle = circular_mean(found.sel(variable="x").values[0][solid], W)
        np.testing.assert_allclose(middle, 0, atol=1e-9)
    np.testing.assert_array_equal(found.sel(variable="g"), states.sel(variable="g"))
    trapped = ActiveOrnsteinUhlenbeck(particles=30, speed=0.1, persistence_rate=1.0, trap=1.0)
    with pytest.raises(InputError, match="nothing to centre"):
        centred(trapped, states_of(trapped, np.zeros((1, 30, 2)), np.zeros((1, 30, 2))))


# Files


def test_numpy_files_come_back_as_the_states(states, tmp_path):
    x, g = (states.sel(variable=name).values for name in ("x", "g"))
    np.savez(tmp_path / "run.npz", x=3.0 * x, g=0.25 * g, time=states.time.values)
    read = read_states(tmp_path / "run.npz", SYSTEM, radius=3.0, activity_scale=0.25)
    np.testing.assert_allclose(read.values, states.values, atol=1e-12)
    np.testing.assert_array_equal(read.time, states.time)


def dump(states: xr.DataArray, scaled: bool = False) -> str:
    """Write states as a LAMMPS dump, particles in reverse order, the origin in the corner."""
    lines = []
    for number, sample in enumerate(states.values):
        lines += ["ITEM: TIMESTEP", str(number * 10), "ITEM: NUMBER OF ATOMS", str(len(sample))]
        lines += ["ITEM: BOX BOUNDS pp pp pp", f"0 {2 * W!r}", f"0 {2 * W!r}", "-0.5 0.5"]
        lines += [f"ITEM: ATOMS id type {'xs ys' if scaled else 'x y'} vx vy"]
        for i in reversed(range(len(sample))):
            (x, y), (gx, gy) = (sample[i, 0] + W) / (2 * W if scaled else 1), sample[i, 1]
            lines.append(f"{i + 1} 1 {x:.15g} {y:.15g} {gx:.15g} {gy:.15g}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("scaled", [False, True])
def test_lammps_dumps_come_back_as_the_states(states, tmp_path, scaled):
    path = tmp_path / "run.lammpstrj"
    path.write_text(dump(states, scaled))
    read = read_states(path, SYSTEM)
    np.testing.assert_allclose(read.values, states.values, atol=1e-9)
    np.testing.assert_array_equal(read.time, 10 * np.arange(6))


def test_dumps_that_do_not_fit_are_refused(states, tmp_path):
    path = tmp_path / "run.dump"
    text = dump(states)
    for wrong, words in (
        (text.replace("vx vy", "fx fy"), "expected columns"),
        (text[: len(text) // 2], "cut off|ITEM"),
        ("# a table\n1 2 3\n", "ITEM: TIMESTEP"),
        ("", "no frame"),
        (text[:17], "cut off"),
        (text.replace("BOUNDS pp", "BOUNDS xy xz yz pp"), "triclinic"),
        (text.replace(f"0 {2 * W!r}\n0", f"0 {3 * W!r}\n0"), "square"),
    ):
        path.write_text(wrong)
        with pytest.raises(InputError, match=words):
            read_states(path, SYSTEM)
    path.write_text(text)
    with pytest.raises(InputError, match="radii wide"):
        read_states(path, SYSTEM, radius=2.0)
    with pytest.raises(InputError, match=r"samples, 25|radii wide"):
        read_states(path, SYSTEM.with_(particles=25, packing=0.25))


def test_activities_of_another_scale_are_told(tmp_path):
    rng = np.random.default_rng(0)
    x, g = rng.uniform(-W, W, (30, 30, 2)), 0.25 * rng.normal(size=(30, 30, 2))
    np.savez(tmp_path / "run.npz", x=x, g=g)
    with pytest.warns(UserWarning, match=r"activity_scale=0\.2"):
        read_states(tmp_path / "run.npz", SYSTEM)


def test_gsd_frames_are_read(states, tmp_path):
    path = tmp_path / "run.gsd"
    with gsd.hoomd.open(str(path), "w") as file:
        for number, sample in enumerate(states.values):
            frame = gsd.hoomd.Frame()
            frame.configuration.box, frame.configuration.step = (
                [2 * W, 2 * W, 1, 0, 0, 0],
                100 * number,
            )
            frame.particles.N = sample.shape[0]
            frame.particles.position = np.pad(sample[:, 0], ((0, 0), (0, 1)))
            frame.particles.velocity = np.pad(sample[:, 1], ((0, 0), (0, 1)))
            file.append(frame)
    read = read_states(path, SYSTEM)
    np.testing.assert_allclose(read.values, states.values, rtol=1e-5, atol=1e-5)  # single precision
    np.testing.assert_array_equal(read.time, 100 * np.arange(6))


def test_gsd_without_its_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gsd", None)
    monkeypatch.setitem(sys.modules, "gsd.hoomd", None)
    path = tmp_path / "run.gsd"
    path.write_bytes(b"")
    with pytest.raises(MissingDependencyError, match=r"axonal\[physics\]"):
        read_states(path, SYSTEM)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(InputError, match="no file"):
        read_states(tmp_path / "none.npz", SYSTEM)
    with pytest.raises(InputError, match="expected one of"):
        read_states(tmp_path / "run.csv", SYSTEM)
    with pytest.raises(InputError, match="radius"):
        read_states(tmp_path / "run.npz", SYSTEM, radius=0.0)
    np.savez(tmp_path / "run.npz", x=np.zeros((1, 30, 2)))
    with pytest.raises(InputError, match="no array 'g'"):
        read_states(tmp_path / "run.npz", SYSTEM)
