"""What a session gives a study: independent seeds, whole files, stages that are kept."""

from __future__ import annotations

import functools
import json

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from axonal.errors import AxonalError, InputError
from axonal.lab import Session

mpl.use("Agg")


@pytest.fixture
def session(tmp_path) -> Session:
    return Session(tmp_path, seed=3)


def draw():
    import matplotlib.pyplot as plt

    from axonal.lab.figures import style

    with style():
        figure, axes = plt.subplots()
        axes.plot([0, 1, 4], label="x²")
        axes.legend()
    return figure


def test_streams_depend_on_seed_and_name_and_on_nothing_else(tmp_path, session):
    first = session.rng("noise").normal(size=5)
    np.testing.assert_array_equal(first, session.rng("noise").normal(size=5))
    np.testing.assert_array_equal(first, Session(tmp_path, seed=3).rng("noise").normal(size=5))
    assert not np.allclose(first, session.rng("weights").normal(size=5))
    assert not np.allclose(first, Session(tmp_path, seed=4).rng("noise").normal(size=5))


def test_torch_streams_too(session):
    import torch

    first = torch.rand(4, generator=session.torch_generator("x"))
    assert torch.equal(first, torch.rand(4, generator=session.torch_generator("x")))


def test_a_measurement_is_on_disk_when_measure_returns(session):
    session.measure("a", [1.0, 2.0], "mV")
    kept = json.loads((session.folder / "measurements.json").read_text())
    assert kept["a"]["values"] == [1.0, 2.0]
    assert kept["a"]["unit"] == "mV"


def test_measurements_of_an_earlier_attempt_are_kept(session):
    session.measure("a", 1.0, exact=True)
    again = Session(session.folder, seed=3)
    again.measure("b", 2.0, exact=True)
    assert set(json.loads((session.folder / "measurements.json").read_text())) == {"a", "b"}
    again.measure("a", 1.0, exact=True)


@pytest.mark.parametrize("kind", ["measurement", "figure", "data"])
def test_recording_one_name_twice_is_an_error(session, kind):
    def record():
        if kind == "measurement":
            session.measure("x", 1.0, exact=True)
        elif kind == "figure":
            session.figure("x", draw())
        else:
            session.data("x", xr.Dataset())

    record()
    with pytest.raises(InputError, match="recorded twice"):
        record()


def test_a_figure_is_the_same_file_every_time_and_is_closed(session, tmp_path):
    import matplotlib.pyplot as plt

    plt.close("all")
    session.figure("line", draw(), caption="A line.", alt="It rises.")
    assert plt.get_fignums() == []
    first = (session.folder / "figures" / "line.svg").read_bytes()
    other = Session(tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.figure("line", draw(), caption="A line.", alt="It rises.")
    assert (other.folder / "figures" / "line.svg").read_bytes() == first
    assert b"<text" not in first  # outlines: it looks the same without the font
    assert b"<dc:date>" not in first


def test_a_style_lasts_as_long_as_its_block():
    from axonal.lab.figures import style

    before = mpl.rcParams["axes.spines.top"]
    with style():
        assert mpl.rcParams["axes.spines.top"] is False
    assert mpl.rcParams["axes.spines.top"] == before


@pytest.mark.parametrize("name", ["", "../escape", "a/b", ".hidden", "a b"])
def test_a_name_that_is_no_file_name_is_refused(session, name):
    with pytest.raises(InputError, match="file name"):
        session.data(name, xr.Dataset())


def test_data_of_every_kind_come_back_as_they_were(session):
    dataset = xr.Dataset(
        {
            "rho": (("time", "site"), np.array([[1 + 2j, 0], [0, 3 - 1j]])),
            "word": ("site", ["a", "b"]),
            "flag": ("site", np.array([True, False])),
        },
        coords={"time": [0.0, 1.0]},
        attrs={"converged": True, "settings": {"a": 1}, "none": None, "count": 3},
    )
    session.data("state", dataset)
    from axonal.lab.datasets import load_dataset

    again = load_dataset(session.folder / "data" / "state.nc")
    np.testing.assert_array_equal(again["rho"], dataset["rho"])
    assert list(again["word"].values) == ["a", "b"]
    np.testing.assert_array_equal(again["flag"], [True, False])
    assert json.loads(again.attrs["settings"]) == {"a": 1}


def test_what_is_no_dataset_is_refused(session):
    with pytest.raises(InputError, match=r"xarray\.Dataset"):
        session.data("x", np.zeros(3))


def test_a_disk_that_fills_up_under_netcdf_is_one_sentence(session, monkeypatch):
    import shutil

    def refuse(*arguments, **options):
        raise RuntimeError("NetCDF: HDF error")

    usage = shutil.disk_usage(session.folder)
    monkeypatch.setattr(xr.Dataset, "to_netcdf", refuse)
    with pytest.raises(RuntimeError, match="HDF"):
        session.data("x", xr.Dataset())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(AxonalError, match="is full"):
        session.data("y", xr.Dataset())


def test_a_stage_is_computed_once_and_gives_the_same_both_times(session):
    calls = []

    def compute():
        calls.append(1)
        return xr.Dataset({"x": ("i", np.arange(3.0))})

    first = session.stage("slow", compute)
    second = Session(session.folder).stage("slow", compute)
    assert len(calls) == 1
    xr.testing.assert_identical(first, second)


def test_a_stage_that_fails_leaves_nothing(session):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        session.stage("slow", fail)
    assert not list((session.folder).rglob("*.nc"))


def counted_squares(n, log):
    squared_and_counted(n, log)
    return xr.Dataset({"x": ("i", np.arange(n) ** 2)})


@pytest.mark.parametrize("jobs", [1, 2])
def test_stages_are_kept_one_by_one_however_many_are_computed_at_once(tmp_path, jobs):
    log = tmp_path / "log"
    session = Session(tmp_path / "run", jobs=jobs)
    computes = {f"s{n}": functools.partial(counted_squares, n, str(log)) for n in (3, 1, 2)}
    session.stage("s1", computes["s1"])
    log.unlink()
    found = Session(tmp_path / "run", jobs=jobs).stages(computes)
    assert [dict(one.sizes) for one in found] == [{"i": 3}, {"i": 1}, {"i": 2}]
    assert sorted(log.read_text().split()) == ["2", "3"]
    again = Session(tmp_path / "run").stages(computes)
    for one, other in zip(found, again, strict=True):
        xr.testing.assert_identical(one, other)
    assert sorted(log.read_text().split()) == ["2", "3"]


def squared_and_counted(x, log):
    with open(log, "a") as file:
        file.write(f"{x}\n")
    return x**2


def test_a_sweep_stores_its_points_in_the_run_folder(session, tmp_path):
    options = {"over": {"x": np.arange(4.0)}, "fixed": {"log": str(tmp_path / "log")}}
    first = session.sweep("squares", squared_and_counted, **options)
    again = Session(session.folder, seed=3).sweep("squares", squared_and_counted, **options)
    np.testing.assert_array_equal(first["value"], again["value"])
    assert len((tmp_path / "log").read_text().splitlines()) == 4
    assert (session.folder / "sweeps" / "squares").is_dir()


class Listener:
    def __init__(self):
        self.heard = []

    def begin(self, label, total):
        self.heard.append(("begin", label, total))

    def advance(self, label, done, total):
        self.heard.append(("advance", label, done, total))

    def end(self, label):
        self.heard.append(("end", label))

    def say(self, text):
        self.heard.append(("say", text))


def test_progress_is_told_step_by_step_and_ends_also_when_it_fails(tmp_path):
    listener = Listener()
    session = Session(tmp_path, reporter=listener)
    assert list(session.track([1, 2], "items")) == [1, 2]

    def fail():
        with session.progress("work", total=9) as advance:
            advance(4)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert listener.heard == [
        ("begin", "items", 2),
        ("advance", "items", 1, 2),
        ("advance", "items", 2, 2),
        ("end", "items"),
        ("begin", "work", 9),
        ("advance", "work", 4, 9),
        ("end", "work"),
    ]


def test_a_note_is_kept_once(session):
    session.note("Small model.")
    session.note("Small model.")
    assert json.loads((session.folder / "notes.json").read_text()) == ["Small model."]
