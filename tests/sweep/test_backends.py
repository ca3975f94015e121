"""Every backend gives the same bits, with any number of workers; workers use one thread each."""

import concurrent.futures as cf
import functools
import sys
import threading
import time

import numpy as np
import pytest

from axonal.errors import InputError, MissingDependencyError
from axonal.sweep import sweep
from axonal.sweep.backends import open_pool, single_threaded

OVER = {"a": np.linspace(0, 1, 7), "b": [1.0, 2.0, 3.0]}


def model(a, b, rng, matrix):
    noise = rng.normal(size=matrix.shape[0])
    return {"x": np.exp(a * b) + noise.sum(), "profile": matrix @ noise}


def model_rows(a, b, rng, matrix):
    noise = rng.normal(size=matrix.shape[0])
    return {"x": np.exp(a * b) + noise.sum(1), "profile": np.stack([matrix @ n for n in noise])}


FIXED = {"matrix": np.random.default_rng(0).normal(size=(40, 40))}


@functools.cache
def serial():
    return sweep(model, OVER, fixed=FIXED, repeats=2)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
@pytest.mark.parametrize("block", [None, 1, 5])
def test_bits_do_not_depend_on_the_backend_the_workers_or_the_batches(backend, jobs, block):
    data = sweep(model, OVER, fixed=FIXED, repeats=2, backend=backend, jobs=jobs, block=block)
    assert data.equals(serial())


@pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
def test_vectorised_bits_do_not_depend_on_the_backend(backend):
    data = sweep(
        model_rows, OVER, fixed=FIXED, repeats=2, vectorized=True, block=10, backend=backend, jobs=2
    )
    reference = sweep(model_rows, OVER, fixed=FIXED, repeats=2, vectorized=True, block=10)
    assert data.equals(reference)


def test_blocks_are_cut_by_the_grid_and_not_by_the_workers():
    def length(a):
        return np.full(len(a), len(a))

    one, three = (
        sweep(length, {"a": range(1000)}, vectorized=True, backend="threads", jobs=jobs)
        for jobs in (1, 3)
    )
    assert one.equals(three)
    assert set(one["value"].values) == {64, 1000 % 64}


def test_a_local_dask_cluster_of_two_workers_gives_the_same_bits():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        by_client = sweep(model, OVER, fixed=FIXED, repeats=2, backend=client, jobs=2)
        by_word = sweep(model, OVER, fixed=FIXED, repeats=2, backend="dask", jobs=2)
        workers = sweep(
            lambda a: threading.get_native_id(), {"a": range(40)}, backend="dask", jobs=2
        )
        assert len(client.scheduler_info()["workers"]) == 2
    assert by_client.equals(serial())
    assert by_word.equals(serial())
    assert len(np.unique(workers["value"])) >= 2


@pytest.mark.parametrize("kind", [cf.ThreadPoolExecutor, cf.ProcessPoolExecutor])
def test_any_executor_can_be_passed(kind):
    with kind(2) as executor:
        assert sweep(model, OVER, fixed=FIXED, repeats=2, backend=executor, jobs=2).equals(serial())


class Later:
    """A job as cluster executors return it: done() is to be asked, and it takes a while."""

    def __init__(self, task):
        self.task, self.ready = task, time.monotonic() + 0.003

    def done(self):
        return time.monotonic() > self.ready

    def result(self):
        return self.task()

    def cancel(self):
        pass


class Queue:
    def submit(self, function, *args):
        return Later(lambda: function(*args))


def test_a_cluster_whose_jobs_are_asked_whether_they_are_done_gives_the_same_bits():
    assert sweep(model, OVER, fixed=FIXED, repeats=2, backend=Queue(), jobs=3).equals(serial())


def test_closures_lambdas_and_callable_objects_reach_the_workers():
    factor = 3.0

    def closure(a):
        return factor * a

    class Scale:
        def __call__(self, a):
            return factor * a

    for function in (closure, lambda a: 3.0 * a, Scale()):
        np.testing.assert_array_equal(sweep(function, {"a": [1.0, 2.0]}, jobs=2)["value"], [3, 6])


def test_partials_reach_the_workers():
    fixed = functools.partial(model, matrix=FIXED["matrix"])
    assert sweep(fixed, OVER, repeats=2, jobs=2).equals(serial())


def test_what_cannot_be_pickled_is_named():
    lock = threading.Lock()
    with pytest.raises(InputError, match=r"cannot be sent to workers.*backend='threads'"):
        sweep(lambda a: a * (lock is not None), {"a": [1, 2]}, jobs=2)
    assert sweep(lambda a: a * (lock is not None), {"a": [1, 2]}, backend="threads").sizes["a"] == 2


def test_worker_processes_have_one_thread_for_linear_algebra():
    def variables(a):
        import os

        return [int(os.environ[name]) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")]

    assert (sweep(variables, {"a": [1, 2]}, jobs=2)["value"] == 1).all()


def test_torch_has_one_thread_inside_a_sweep_and_its_own_number_after():
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        inside = sweep(lambda a: torch.get_num_threads(), {"a": [1, 2]}, backend="threads", jobs=2)
        assert (inside["value"] == 1).all()
        assert torch.get_num_threads() == 2
        with single_threaded(), single_threaded():
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_all_cores_are_minus_one():
    with open_pool("threads", -1) as pool:
        assert pool.width >= 1


def test_a_broken_executor_says_what_to_do():
    import os

    from axonal.sweep import SweepError

    with (
        cf.ProcessPoolExecutor(1) as executor,
        pytest.raises(SweepError, match="takes no more tasks"),
    ):
        sweep(lambda a: os._exit(1), {"a": range(5)}, backend=executor)


def test_an_object_that_is_no_executor_is_refused():
    with pytest.raises(InputError, match="an executor with submit"):
        sweep(model, OVER, fixed=FIXED, backend=42)


@pytest.mark.parametrize(
    ("backend", "library", "extra"), [("ray", "ray", "ray"), ("dask", "distributed", "cluster")]
)
def test_a_cluster_library_that_is_not_installed_is_named(monkeypatch, backend, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=rf"axonal\[{extra}\]"):
        sweep(model, OVER, fixed=FIXED, backend=backend)
