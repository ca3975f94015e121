"""A store loses nothing that is finished, computes only what is missing, and knows its function."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

from axonal.errors import AxonalError, InputError
from axonal.sweep import Follow, failures, sweep
from axonal.sweep.identity import fingerprint
from axonal.sweep.store import Store

SCRIPT = """
import sys, time
import axonal.sweep.store
from axonal.sweep import sweep

axonal.sweep.store.FLUSH_SECONDS = 0.05

def model(a, b, rng):
    time.sleep(0.01)
    return {"x": a * b + rng.normal(), "draws": rng.integers(1000, size=3)}

if __name__ == "__main__":
    data = sweep(
        model, {"a": range(15), "b": [1.0, 2.5]}, repeats=5, jobs=int(sys.argv[2]),
        store=sys.argv[1] if sys.argv[1] != "none" else None, block=2,
    )
    data.to_netcdf(sys.argv[3])
"""


def reused(data):
    return json.loads(data.attrs["provenance"])["reused"]


def shards(folder):
    return len(list(folder.glob("shards/*.npz")))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_sweep_killed_in_the_middle_and_resumed_gives_the_same_dataset(tmp_path, jobs):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    store, result = tmp_path / "store", tmp_path / "resumed.nc"
    run = [sys.executable, str(script)]
    process = subprocess.Popen([*run, str(store), jobs, str(tmp_path / "never.nc")])
    while shards(store) < 3:
        time.sleep(0.01)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "never.nc").exists()
    subprocess.run([*run, str(store), jobs, str(result)], check=True)
    subprocess.run([*run, "none", "1", str(tmp_path / "whole.nc")], check=True)
    with xr.open_dataset(result) as resumed, xr.open_dataset(tmp_path / "whole.nc") as whole:
        assert resumed.equals(whole)
        assert 0 < reused(resumed) < 150


def test_a_second_call_computes_nothing_and_gives_the_same_bits(tmp_path):
    calls = []

    def model(a, rng):
        calls.append(a)
        return {"x": a + rng.normal(), "word": "ab"[a % 2]}

    first = sweep(model, {"a": range(6)}, repeats=2, store=tmp_path, version="1")
    again = sweep(model, {"a": range(6)}, repeats=2, store=tmp_path, version="1")
    assert again.equals(first)
    assert len(calls) == 12
    assert reused(again) == 12
    seen = []
    sweep(
        model,
        {"a": range(6)},
        repeats=2,
        store=tmp_path,
        version="1",
        progress=lambda *n: seen.append(n),
    )
    assert seen == [(12, 12)]


def draw(a, rng, scale=1.0, b=0):
    return scale * rng.normal()


def draw_rows(a, rng):
    return rng.normal()


def test_added_points_and_repeats_compute_only_what_is_missing(tmp_path):
    sweep(draw, {"a": [1, 2]}, repeats=3, store=tmp_path)
    more = sweep(draw, {"a": [2, 3, 1]}, repeats=4, store=tmp_path)
    assert reused(more) == 6
    assert more.equals(sweep(draw, {"a": [2, 3, 1]}, repeats=4))


def test_missing_rows_of_a_block_are_computed_and_the_others_kept(tmp_path):
    sweep(draw_rows, {"a": range(0, 40, 3)}, vectorized=True, store=tmp_path)
    data = sweep(draw_rows, {"a": range(40)}, vectorized=True, block=16, store=tmp_path)
    assert reused(data) == 14
    assert data.equals(sweep(draw_rows, {"a": range(40)}, vectorized=True, block=16))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "differs in seed"),
        ({"fixed": {"scale": 2.0}}, "differs in the fixed parameters"),
        ({"common": ["a"]}, "differs in common"),
        ({"function": draw_rows}, "differs in the function's code, function"),
    ],
)
def test_a_store_of_another_sweep_is_refused(tmp_path, change, words):
    sweep(draw, {"a": [1, 2]}, store=tmp_path)
    options = {"function": draw, **change}
    with pytest.raises(InputError, match=words):
        sweep(options.pop("function"), {"a": [1, 2]}, store=tmp_path, **options)


def test_an_edited_function_is_refused_unless_the_version_vouches_for_it(tmp_path):
    def edited(body, store, **options):
        space = {}
        exec(
            f"def model(a):\n    # a comment does not matter: {time.time()}\n    return {body}",
            space,
        )
        return sweep(space["model"], {"a": [1.0]}, store=tmp_path / store, **options)

    edited("a + 1", "by code")
    edited("a  +  1", "by code")
    with pytest.raises(InputError, match="the function's code"):
        edited("a + 2", "by code")
    edited("a + 1", "by version", version="1")
    assert edited("a + 2", "by version", version="1")["value"] == 2  # as it was
    with pytest.raises(InputError, match="differs in version"):
        edited("a + 2", "by version", version="2")
    sweep(draw, {"a": [1]}, fixed={"scale": 2.0}, store=tmp_path / "fixed", version="1")
    with pytest.raises(InputError, match="differs in the fixed parameters"):
        sweep(draw, {"a": [1]}, fixed={"scale": 3.0}, store=tmp_path / "fixed", version="1")


def test_failures_are_kept_and_tried_again_on_request(tmp_path):
    broken = [True]

    def model(a):
        if a == 2 and broken:
            raise OSError("busy")
        return a

    def call(**options):
        return sweep(model, {"a": [1, 2, 3]}, store=tmp_path, version="1", **options)

    call()
    broken.clear()
    kept = call()
    assert failures(kept)["message"].tolist() == ["busy"]
    assert reused(kept) == 3
    again = call(retry_failed=True)
    assert (len(failures(again)), reused(again)) == (0, 2)
    assert call()["value"].values.tolist() == [1, 2, 3]


def test_paths_are_kept_whole(tmp_path):
    def walk(u, start, b):
        if u == 2:
            raise ValueError("no way")
        return start + b

    over = {"u": Follow([1, 2, 3], initial=0), "b": [1, 2]}
    first = sweep(walk, over, store=tmp_path)
    again = sweep(walk, over, store=tmp_path)
    assert again.equals(first)
    assert reused(again) == 2
    assert failures(again).equals(failures(first))
    longer = sweep(walk, {"u": Follow([1, 2, 3, 4], initial=0), "b": [1, 2]}, store=tmp_path)
    assert reused(longer) == 0


def test_a_damaged_shard_is_named(tmp_path):
    sweep(draw, {"a": [1, 2]}, store=tmp_path)
    shard = next(tmp_path.glob("shards/*.npz"))
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(AxonalError, match=f"{shard.name} is damaged.*delete it"):
        sweep(draw, {"a": [1, 2]}, store=tmp_path)


def test_a_half_written_shard_is_never_read(tmp_path):
    sweep(draw, {"a": [1, 2]}, store=tmp_path)
    (tmp_path / "shards" / ".123.npz.part").write_bytes(b"torn")
    assert reused(sweep(draw, {"a": [1, 2]}, store=tmp_path)) == 2


def test_a_store_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AxonalError, match="cannot be used"):
        sweep(draw, {"a": [1]}, store=tmp_path / "file" / "store")


def test_two_sweeps_may_share_a_store(tmp_path):
    identity = {"function": "f"}
    one, two = Store.open(tmp_path, identity), Store.open(tmp_path, identity)
    for store, row in ((one, 1), (two, 2)):
        store.add(np.array([[row, row]], np.uint64), {"x": np.array([row])}, [])
        store.flush()
    found = Store.open(tmp_path, identity).find(
        np.array([[2, 2], [9, 9], [1, 1]], np.uint64), False
    )
    assert found.positions.tolist() == [0, 2]
    assert found.outputs["x"].tolist() == [2, 1]


def test_a_fingerprint_is_the_same_in_every_process_and_sees_what_matters():
    code = (
        "import numpy as np, functools\n"
        "from axonal.sweep.identity import fingerprint\n"
        "def f(x, k=2):\n"
        "    return x in {'a', 'b', 'c', 'd'} or (lambda y: y + k)(x)\n"
        "print(fingerprint(functools.partial(f, k=np.arange(3))))\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1

    def enclosing(k):
        return lambda x, n=1: x + k + n

    def other(k):
        return lambda x, n=2: x + k + n

    functions = [enclosing(1), enclosing(2), other(1), functools.partial(enclosing(1), n=3)]
    assert len({fingerprint(f) for f in functions}) == 4
    assert fingerprint(enclosing(1)) == fingerprint(enclosing(1))


def test_a_function_that_cannot_be_identified_needs_a_version(tmp_path):
    import threading

    lock = threading.Lock()
    with pytest.raises(InputError, match="give version="):
        sweep(lambda a: a * (lock is not None), {"a": [1]}, store=tmp_path)
    sweep(lambda a: a * (lock is not None), {"a": [1]}, store=tmp_path, version="1")
