"""Sweeps and searches find what single runs find, and report it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from axonal.errors import InputError
from axonal.language.steering import (
    Evaluation,
    LogitGap,
    audit,
    collect,
    damage,
    default_layers,
    fit,
    points,
    search,
    sweep,
    write_report,
)
from axonal.language.steering.reporting import front
from axonal.language.steering.sweeping import split
from axonal.transport import GaussianTransport
from steering_models import NEGATIVE, POSITIVE, tiny

GAP = LogitGap(" positive", " negative")
TEXTS = [" ".join([*NEGATIVE[0].split(), *POSITIVE[0].split()]),
         " ".join([*POSITIVE[1].split(), *NEGATIVE[2].split()])]  # fmt: skip
SMALL: dict[str, Any] = {"texts": TEXTS, "apply": "all", "batch_size": 4}


@pytest.fixture(scope="module")
def swept() -> xr.Dataset:
    return sweep(tiny(), NEGATIVE, POSITIVE, GAP, layers=[0, 2], strengths=[0.5, 1.0],
                 maps=["mean-shift", "Gaussian, subspace", "LEACE"], write=2,
                 texts=[t + " the film was very warm" for t in TEXTS], apply="all")  # fmt: skip


def test_a_sweep_is_labelled(swept) -> None:
    assert dict(swept["behaviour"].sizes) == {"map": 3, "layer": 2, "strength": 2, "prompt": 6}
    assert swept["kl"].dims == ("map", "layer", "strength", "text")
    assert swept["layer"].values.tolist() == [0, 2]
    assert swept["source_behaviour"].sizes == {"prompt": 6}
    assert bool(swept["gain"].notnull().all())
    assert "repeat" not in swept.coords


def test_a_point_of_a_sweep_is_what_a_single_fit_gives(swept) -> None:
    model = tiny()
    fitted, judged = split(NEGATIVE, POSITIVE, None)
    steering = fit(model, *fitted, 2, map="Gaussian, subspace", apply="all")
    at = swept.sel(map="Gaussian, subspace", layer=2, strength=0.5)
    with steering.on(model, strength=0.5):
        np.testing.assert_allclose(at["behaviour"], GAP(model, judged[0]), atol=1e-5)
    texts = [t + " the film was very warm" for t in TEXTS]
    harm = damage(model, steering.edits(strength=0.5), texts)
    np.testing.assert_allclose(at["kl"], harm.text_kl, atol=1e-6)
    assert float(at["perplexity_ratio"]) == pytest.approx(harm.perplexity_ratio, rel=1e-5)


def test_the_audit_of_a_sweep_sees_the_held_out_half(swept) -> None:
    model = tiny()
    fitted, judged = split(NEGATIVE, POSITIVE, None)
    steering = fit(model, *fitted, 0, map="mean shift")
    (site,) = steering.sites
    rows = [collect(model, p, [site])[site] for p in (*fitted, *judged)]
    seen = audit(steering.maps[site], (rows[0], rows[1]), (rows[2], rows[3]))
    at = swept.sel(map="mean-shift", layer=0, strength=1.0)
    for name, value in vars(seen).items():
        assert float(at[name]) == pytest.approx(value, rel=1e-6), name
    step = rows[1].double().mean(0) - rows[0].double().mean(0)
    assert seen.move == pytest.approx(float(step.norm()), rel=1e-6)
    assert seen.displacement == pytest.approx(
        float(step.norm() / rows[2].double().norm(dim=1).mean()), rel=1e-6
    )


def test_an_audit_sees_that_transport_closes_the_distance_and_blinds_the_probe() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(n: int, mean: float, scale: float) -> torch.Tensor:
        return torch.randn(n, 4, generator=generator, dtype=torch.double) * scale + mean

    fitted, held = (draw(4000, 0, 1), draw(4000, 2, 3)), (draw(4000, 0, 1), draw(4000, 2, 3))
    estimator = GaussianTransport(None).fit(*fitted)
    seen = audit(estimator.map_, fitted, held)
    assert seen.distance_before == pytest.approx(np.sqrt(4 * 4 + 4 * 4), rel=0.05)
    assert seen.distance_after < 0.1 * seen.distance_before
    assert seen.probe_before > 0.85
    assert abs(seen.probe_after - 0.5) < 0.06
    assert seen.move == pytest.approx(estimator.report_.distance, rel=0.05)
    with pytest.raises(InputError, match="held-out rows are too few"):
        audit(estimator.map_, fitted, (held[0][:2], held[1]))


def test_maps_of_ones_own_and_layers_by_default() -> None:
    data = sweep(tiny(), NEGATIVE, POSITIVE, GAP, maps={"mine": GaussianTransport(3)},
                 strengths=[1.0], texts=[" ".join(TEXTS)], validation=(NEGATIVE[:4], POSITIVE[:4]))  # fmt: skip
    assert data["map"].values.tolist() == ["mine"]
    assert data["layer"].values.tolist() == default_layers(tiny()) == [0, 1]
    assert data.sizes["prompt"] == 4
    assert bool(data["degenerate"].isnull().all() | ~data["degenerate"].any())


def test_default_layers_lie_in_the_band_and_are_few() -> None:
    assert default_layers(tiny(), band=(0.5, 1.0)) == [1, 2]
    assert default_layers(tiny(), band=(0.0, 1.0), count=2) == [0, 2]
    with pytest.raises(InputError, match="No block of 3"):
        default_layers(tiny(), band=(0.1, 0.2))
    with pytest.raises(InputError, match="band"):
        default_layers(tiny(), band=(0.8, 0.2))


def test_a_map_that_can_not_be_fitted_is_a_gap_in_the_sweep() -> None:
    maps = {"wide": GaussianTransport(20, shrinkage=None), "mean": "mean shift"}
    data = sweep(tiny(), NEGATIVE, POSITIVE, GAP, maps=maps, layers=[1], strengths=[1.0],
                 texts=[" ".join(TEXTS)])  # fmt: skip  # pyright: ignore[reportArgumentType]
    assert bool(data["gain"].sel(map="wide").isnull().all())
    assert bool(data["gain"].sel(map="mean").notnull().all())
    assert points(data)["map"].tolist() == ["mean"]


# The report


def test_points_are_ordered_by_gain_and_know_the_cap_and_the_front(swept) -> None:
    table = points(swept, cap=1.2)
    assert len(table) == 12
    assert table["gain"].is_monotonic_decreasing
    ok = (table["perplexity_ratio"] <= 1.2) & ~table["degenerate"].astype(bool)
    assert table["admitted"].tolist() == ok.tolist()
    assert table.loc[0, "front"]
    best = table[table["front"]].sort_values("kl")
    assert best["gain"].is_monotonic_increasing
    assert (table["behaviour_low"] <= table["behaviour"]).all()


def test_a_rate_has_wilsons_interval_in_the_table(swept) -> None:
    rates = swept.copy()
    rates["behaviour"] = (swept["behaviour"] > 0).astype(float)
    table = points(rates)
    assert table["behaviour_low"].min() >= 0
    assert table["behaviour_high"].max() <= 1
    assert (table["behaviour_high"] > table["behaviour_low"]).all()


def test_the_front_holds_what_no_other_point_beats() -> None:
    gain, harm = np.array([0.0, 1.0, 1.0, 0.5, 2.0]), np.array([0.0, 1.0, 2.0, 1.0, 9.0])
    assert front(gain, harm).tolist() == [True, True, False, False, True]


def test_the_report_holds_data_table_picture_and_page(swept, tmp_path) -> None:
    folder = write_report(swept, tmp_path / "report")
    with xr.open_dataset(folder / "sweep.nc") as read:
        np.testing.assert_allclose(read["gain"], swept["gain"])
    assert (folder / "front.png").stat().st_size > 5000
    page = (folder / "report.html").read_text()
    assert "<svg" in page
    assert "mean-shift" in page
    assert len((folder / "points.csv").read_text().splitlines()) == 13
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        write_report(swept, tmp_path / "file")


# The search


def test_a_search_finds_the_best_layer_and_pair_under_the_cap() -> None:
    model = tiny()
    texts = [" ".join(TEXTS)]
    found = search(model, NEGATIVE, POSITIVE, GAP, map="mean shift", layers=[0, 1, 2], cap=50.0,
                   texts=texts, apply="all", write=2)  # fmt: skip
    layers = [one.layers for one in found.candidates]
    best_single = next(pair for pair in layers if len(pair) == 1)[0]
    assert sorted(layers) == sorted(
        [(0,), (1,), (2,), *(tuple(sorted((best_single, b))) for b in {0, 1, 2} - {best_single})]
    )
    gains = [round(one.effect.gain, 2) for one in found.candidates]
    assert gains == sorted(gains, reverse=True)
    _, judged = split(NEGATIVE, POSITIVE, None)
    with found.best.steering.on(model):
        np.testing.assert_allclose(GAP(model, judged[0]), found.best.effect.behaviour, atol=1e-5)
    assert found.table()["admitted"].iloc[found.candidates.index(found.best)]
    assert found.best.variety is not None


def test_a_cap_that_nothing_meets_is_said_with_the_mildest() -> None:
    found = search(tiny(), NEGATIVE, POSITIVE, GAP, layers=[0, 2], cap=0.01, pairs=False,
                   texts=[" ".join(TEXTS)], write=0)  # fmt: skip
    with pytest.raises(InputError, match=r"None of 2 choices .* under 0.01 .*the mildest is"):
        _ = found.best


def test_ties_go_to_the_smaller_move() -> None:
    def step(model: Any, prompts: Any) -> np.ndarray:
        return (GAP(model, prompts) > -1e9).astype(float) - ("bad" not in str(prompts.items)) * 0.5

    found = search(tiny(), NEGATIVE[:6] + ["the song was bad and"] * 6, POSITIVE, step, layers=[0, 1, 2],
                   pairs=False, cap=1e9, texts=[" ".join(TEXTS)], write=0)  # fmt: skip
    assert {one.effect.gain for one in found.candidates} == {0.0}
    moves = [one.move for one in found.candidates]
    assert moves == sorted(moves)


def test_degenerate_text_is_passed_over() -> None:
    from axonal.language.steering import searching

    class Collapsing:
        def variety(self, steering: Any, **_: Any) -> float:
            return 0.1 if 2 in steering.layers else 0.9

    made = search(tiny(), NEGATIVE, POSITIVE, GAP, layers=[1, 2], pairs=False, cap=1e9,
                  texts=[" ".join(TEXTS)], write=0)  # fmt: skip
    order = sorted(made.candidates, key=lambda c: c.layers != (2,))
    for one in order:
        object.__setattr__(one.steering, "layers", one.layers)
    seen = list(searching._looked_at(order, Collapsing(), 1e9, 2))  # pyright: ignore
    assert [one.degenerate for one in seen] == [True, False]
    assert searching.Search(tuple(seen), 1e9).best.layers == (1,)


# What does not serve


@pytest.mark.parametrize(
    ("readout", "words"),
    [
        (lambda m, p: np.ones(len(p)), "same for source and target"),
        (lambda m, p: np.ones(3), "one number a prompt"),
        (lambda m, p: np.full(len(p), np.nan), "NaN"),
    ],
)
def test_a_readout_that_says_nothing_is_refused(readout, words) -> None:
    with pytest.raises(InputError, match=words):
        Evaluation(tiny(), NEGATIVE, POSITIVE, readout, [], texts=[" ".join(TEXTS)])


def test_too_few_prompts_to_halve_are_refused() -> None:
    with pytest.raises(InputError, match="source: 5 prompts are too few"):
        sweep(tiny(), NEGATIVE[:5], POSITIVE, GAP)
    with pytest.raises(InputError, match="expected a list of names"):
        sweep(tiny(), NEGATIVE, POSITIVE, GAP, maps="LEACE")


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    sweep(tiny(), NEGATIVE, POSITIVE, GAP, maps=["LEACE"], layers=[1], strengths=[0.5, 1.0],
          texts=[" ".join(TEXTS)], progress=lambda done, total: told.append((done, total)))  # fmt: skip
    assert told[-1] == (2, 2)
    assert json.dumps(told)
