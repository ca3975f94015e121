"""Where batches run: one word for each place, every one a ``concurrent.futures`` executor.

``serial``, ``threads`` and ``processes`` (loky) are on this machine; ``dask`` uses the current
``distributed`` client or starts a local cluster; ``ray`` uses the running Ray or starts one. Anything
with ``submit(function, *args)`` that returns objects with ``done()`` and ``result()`` can be passed
instead: a ``distributed.Client``, ``submitit.AutoExecutor`` (Slurm), ``executorlib``, a pool.
"""

from __future__ import annotations

import concurrent.futures as cf
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from axonal.errors import InputError, nearest, require

Submit = Callable[..., Any]
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


@dataclass(frozen=True)
class Pool:
    """An open backend: how to submit, how many tasks run at once, whether they leave the process."""

    name: str
    submit: Submit
    width: int
    remote: bool


def worker_count(jobs: int) -> int:
    """Return the number of workers; -1 means one for each core this process may use."""
    if jobs == -1:
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
    if jobs < 1:
        raise InputError(
            f"jobs = {jobs}: expected a positive number of workers, or -1 for all cores"
        )
    return jobs


@contextmanager
def open_pool(backend: Any, jobs: int) -> Iterator[Pool]:
    """Open a backend by its word, or take an executor of the user's."""
    jobs = worker_count(jobs)
    if backend is None:
        backend = "serial" if jobs == 1 else "processes"
    if not isinstance(backend, str):
        if not hasattr(backend, "submit"):
            raise InputError(
                f"backend: expected one of {', '.join(BACKENDS)} or an executor with submit(), got {backend!r}"
            )
        executor = backend.get_executor(pure=False) if hasattr(backend, "get_executor") else backend
        yield Pool(type(backend).__name__, executor.submit, jobs, remote=True)
        return
    word = {"loky": "processes"}.get(backend, backend)
    if word == "slurm":
        raise InputError(
            "backend 'slurm': a cluster needs to know its partition and limits, so pass an executor: "
            "submitit.AutoExecutor(folder) after update_parameters(...)"
        )
    if word not in BACKENDS:
        raise InputError(
            f"unknown backend {backend!r}: {nearest(backend, BACKENDS)} (there are "
            f"{', '.join(BACKENDS)}, or pass an executor)"
        )
    with ExitStack() as stack:
        submit = BACKENDS[word](stack, jobs)
        here = word in ("serial", "threads")
        yield Pool(word, submit, 1 if word == "serial" else jobs, remote=not here)


def wait_any(futures: Sequence[Any]) -> list[Any]:
    """Return the futures that are done, as soon as there is one."""
    if all(isinstance(future, cf.Future) for future in futures):
        return list(cf.wait(futures, return_when=cf.FIRST_COMPLETED).done)
    pause = 0.001
    while not (done := [future for future in futures if future.done()]):
        time.sleep(pause)
        pause = min(2 * pause, 0.5)
    return done


@contextmanager
def single_threaded() -> Iterator[None]:
    """Hold BLAS and OpenMP at one thread in this process while any thread is inside.

    Workers do not fight for the cores, and sums do not depend on how many cores there are.
    """
    with _pin_lock:
        if not _pins:
            _pin_threads(_unpin)
        _pins.append(None)
    try:
        yield
    finally:
        with _pin_lock:
            _pins.pop()
            if not _pins:
                _unpin.close()


_pins: list[None] = []
_pin_lock = threading.Lock()
_unpin = ExitStack()


def _pin_threads(stack: ExitStack) -> None:
    import threadpoolctl

    stack.enter_context(threadpoolctl.threadpool_limits(1))
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)


def _serial(stack: ExitStack, jobs: int) -> Submit:
    del stack, jobs

    def submit(function: Callable[..., Any], *args: Any) -> cf.Future[Any]:
        future: cf.Future[Any] = cf.Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    return submit


def _threads(stack: ExitStack, jobs: int) -> Submit:
    return stack.enter_context(cf.ThreadPoolExecutor(jobs)).submit


def _processes(stack: ExitStack, jobs: int) -> Submit:
    del stack
    from joblib.externals.loky import get_reusable_executor

    one_thread = dict.fromkeys(THREAD_VARIABLES, "1")
    # asked for at each task: after a crash it is a new one
    return lambda *task: get_reusable_executor(jobs, env=one_thread).submit(*task)


def _dask(stack: ExitStack, jobs: int) -> Submit:
    distributed: Any = require("distributed", "cluster")
    try:
        client = distributed.get_client()
    except ValueError:
        cluster = distributed.LocalCluster(
            n_workers=jobs, threads_per_worker=1, dashboard_address=None, silence_logs=40
        )
        stack.enter_context(cluster)
        client = stack.enter_context(distributed.Client(cluster))
    return client.get_executor(pure=False).submit


def _ray(stack: ExitStack, jobs: int) -> Submit:
    ray: Any = require("ray", "ray")
    if not ray.is_initialized():
        ray.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False)
        stack.callback(ray.shutdown)
    remote = ray.remote(max_retries=0)(_apply)
    return lambda function, *args: remote.remote(function, *args).future()


def _apply(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


BACKENDS: dict[str, Callable[[ExitStack, int], Submit]] = {
    "serial": _serial,
    "threads": _threads,
    "processes": _processes,
    "dask": _dask,
    "ray": _ray,
}
