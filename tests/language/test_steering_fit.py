"""Maps are fitted where they are said to be, and do there what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from axonal.activations import Site, Sites
from axonal.errors import InputError
from axonal.language.steering import collect, fit
from axonal.language.steering.fitting import estimator_of
from axonal.language.steering.streaming import RunningRows, moments_suffice
from axonal.transport import LEACE, GaussianTransport, MeanShift, UnitTransport, family
from steering_models import FAMILIES, NEGATIVE, POSITIVE, tiny

EXACT = GaussianTransport(None, shrinkage=0.2, ridge=0.0)


@pytest.mark.parametrize("family_name", FAMILIES)
def test_steered_activations_have_the_mean_of_the_target_in_every_family(family_name: str) -> None:
    model = tiny(family_name)
    steering = fit(model, NEGATIVE, POSITIVE, [1], map="mean shift", apply="last", batch_size=5)
    (site,) = steering.sites
    with steering.on(model):
        moved = collect(model, NEGATIVE, [site])[site]
    reached = collect(model, POSITIVE, [site])[site]
    torch.testing.assert_close(moved.mean(0), reached.mean(0), atol=2e-5, rtol=1e-4)


def test_a_gaussian_map_gives_the_source_the_covariance_of_the_target_inside_the_model() -> None:
    model = tiny()
    estimator = GaussianTransport(3, shrinkage=None, ridge=0.0, massive="keep")
    steering = fit(model, NEGATIVE, POSITIVE, [1], map=estimator, apply="last")
    (site,) = steering.sites
    with steering.on(model):
        moved = collect(model, NEGATIVE, [site])[site].double()
    reached = collect(model, POSITIVE, [site])[site].double()
    basis: Any = steering.maps[site].basis  # pyright: ignore[reportAttributeAccessIssue]
    scale = float(torch.cov((reached @ basis).mT).diagonal().max())
    torch.testing.assert_close(
        torch.cov((moved @ basis).mT), torch.cov((reached @ basis).mT), atol=1e-5 * scale, rtol=1e-4
    )
    plain = collect(model, NEGATIVE, [site])[site].double()
    outside = torch.eye(32).double() - basis @ basis.mT
    torch.testing.assert_close(moved @ outside, plain @ outside, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", family())
def test_every_member_of_the_family_steers(name: str) -> None:
    model = tiny()
    steering = fit(model, NEGATIVE, POSITIVE, [1], map=name, apply="last")
    (site,) = steering.sites
    with steering.on(model):
        moved = collect(model, NEGATIVE, [site])[site]
    expected = steering.maps[site].apply(collect(model, NEGATIVE, [site])[site].double())
    torch.testing.assert_close(moved.double(), expected, atol=1e-4, rtol=1e-4)


def test_the_second_layer_is_fitted_with_the_first_one_in_force() -> None:
    model = tiny()
    both = fit(model, NEGATIVE, POSITIVE, [0, 2], map="mean shift", apply="last")
    first, second = both.sites
    with both.on(model):
        moved = collect(model, NEGATIVE, both.sites)
    reached = collect(model, POSITIVE, both.sites)
    for site in both.sites:
        torch.testing.assert_close(moved[site].mean(0), reached[site].mean(0), atol=2e-5, rtol=1e-4)
    alone = fit(model, NEGATIVE, POSITIVE, [2], map="mean shift", apply="last")
    bias = both.maps[second].bias, alone.maps[second].bias  # pyright: ignore
    assert float(bias[0]) != pytest.approx(float(bias[1]), rel=1e-3)
    assert torch.equal(both.maps[first].bias, fit(model, NEGATIVE, POSITIVE, [0], map="mean shift",
                                                  apply="last").maps[first].bias)  # fmt: skip # pyright: ignore


@pytest.mark.parametrize("family_name", FAMILIES)
def test_layers_in_sequence_cost_one_pass_and_give_the_maps_of_whole_passes(
    family_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(family_name)
    named = Sites.of(model.model)
    runs = dict.fromkeys(range(named.blocks), 0)
    inside = {
        i: model.model.get_submodule(named.residual(i).path).register_forward_pre_hook(
            lambda block, *_, i=i: runs.update(
                {i: runs[i] + ("_axonal_forward" not in vars(block))}
            )
        )
        for i in runs
    }
    layers, options = list(runs), {"map": "mean shift", "apply": "all", "batch_size": 50}
    relayed = fit(model, NEGATIVE, POSITIVE, layers, **options)
    assert set(runs.values()) == {2}  # one pass of the target, one of the source
    for handle in inside.values():
        handle.remove()
    monkeypatch.setattr("axonal.language.steering.relay.Relay.towards", lambda *a: list(a[2]))
    whole = fit(model, NEGATIVE, POSITIVE, layers, **options)
    for site in relayed.sites:
        a, b = (s.maps[site].dense()[1] for s in (relayed, whole))
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_layers_out_of_order_and_a_small_memory_run_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    options = {"map": "mean shift", "apply": "last", "batch_size": 3}
    forth = fit(model, NEGATIVE, POSITIVE, [0, 1, 2], **options)
    monkeypatch.setattr("axonal.language.steering.relay.Relay._keeps", lambda *_: False)
    for layers in ([0, 1, 2], [1, 0, 2]):
        again = fit(model, NEGATIVE, POSITIVE, layers, **options)
        with again.on(model):
            moved = collect(model, NEGATIVE, again.sites)
        reached = collect(model, POSITIVE, again.sites)
        site = again.sites[-1]
        torch.testing.assert_close(moved[site].mean(0), reached[site].mean(0), atol=2e-5, rtol=1e-4)
        if layers == [0, 1, 2]:
            for site in forth.sites:
                a, b = (s.maps[site].dense()[1] for s in (forth, again))
                torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-6)


def test_any_site_may_be_steered() -> None:
    model = tiny()
    site = Sites.of(model.model).neurons(1)
    steering = fit(model, NEGATIVE, POSITIVE, site, map="Gaussian-AcT", apply="last")
    assert steering.sites == [site]
    with steering.on(model):
        collect(model, NEGATIVE, [site])


def test_a_direction_is_ablated_everywhere_on_all_tokens_but_the_first() -> None:
    model = tiny()
    steering = fit(model, NEGATIVE, POSITIVE, 1, map="directional-ablation").everywhere(model)
    assert len(steering.maps) == 9
    direction: Any = steering.maps[steering.sites[0]].basis  # pyright: ignore
    last = Sites.of(model.model).residual(2)
    with steering.on(model):
        rows = collect(model, NEGATIVE, [last], "all")[last]
    plain = collect(model, NEGATIVE, [last], "all")[last]
    assert float((rows @ direction.float()).abs().max()) < 1e-4
    assert float((plain @ direction.float()).abs().max()) > 1e-1
    with pytest.raises(InputError, match="one site"):
        steering.everywhere(model)


@pytest.mark.parametrize(
    "name", ["mean shift", "LEACE", "directional ablation", "exact", "subspace"]
)
def test_many_tokens_are_reduced_to_moments_and_give_the_same_map(name: str, monkeypatch) -> None:
    import axonal.language.steering.streaming as streaming

    estimator = {
        "exact": EXACT, "subspace": GaussianTransport(2, basis="mean_difference"),
    }.get(name) or estimator_of(name)  # fmt: skip
    model = tiny()
    source, target = NEGATIVE * 3, POSITIVE * 3
    monkeypatch.setattr(streaming, "KEPT", 10**6)
    whole = fit(model, source, target, 1, map=estimator, positions="all", batch_size=5)
    monkeypatch.setattr(streaming, "KEPT", 1)
    streamed = fit(model, source, target, 1, map=estimator, positions="all", batch_size=5)
    (site,) = whole.sites
    assert streamed.report[str(site)]["n_source"] == whole.report[str(site)]["n_source"] > 64
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(
        streamed.maps[site].apply(x), whole.maps[site].apply(x), atol=1e-6, rtol=1e-6
    )


def test_a_stream_has_the_mean_and_covariance_of_its_rows_and_leaves_massive_ones() -> None:
    x = torch.randn(500, 6, generator=torch.Generator().manual_seed(1)).double() * 3 + 2
    kept = RunningRows(compress=True)
    for part in x.split(37):
        kept.add(part)
    assert kept.compressed
    few = kept.rows()
    assert few.shape == (7, 6)
    torch.testing.assert_close(few.mean(0), x.mean(0))
    torch.testing.assert_close(torch.cov(few.mT), torch.cov(x.mT))
    kept.add(torch.full((1, 6), 1e4).double())
    torch.testing.assert_close(kept.rows().mean(0), x.mean(0))


def test_maps_that_need_the_rows_keep_them() -> None:
    assert not moments_suffice(UnitTransport("linear"), 8)
    assert not moments_suffice(GaussianTransport(2, basis="fisher"), 64)
    assert not moments_suffice(GaussianTransport(None), 64)
    assert not moments_suffice(GaussianTransport(2, shrinkage="ledoit-wolf"), 64)
    assert not moments_suffice(LEACE(shrinkage="ledoit-wolf"), 64)
    assert moments_suffice(MeanShift(), 8)
    assert moments_suffice(GaussianTransport(2), 64)


def test_names_are_written_as_one_types_them() -> None:
    assert isinstance(estimator_of("gaussian-subspace"), GaussianTransport)
    assert isinstance(estimator_of("Mean Shift"), MeanShift)
    with pytest.raises(InputError, match="did you mean mean-shift"):
        estimator_of("mean-shfit")
    with pytest.raises(InputError, match="an estimator or the name"):
        estimator_of(3)  # pyright: ignore[reportArgumentType]


# Bad input


def test_the_same_prompts_in_both_sets_are_refused_with_the_site() -> None:
    with pytest.raises(InputError, match=r"At model.layers.1 .*same 12 rows"):
        fit(tiny(), NEGATIVE, NEGATIVE, 1)


def test_too_few_prompts_are_refused_with_set_site_and_count() -> None:
    few = GaussianTransport(4, shrinkage=None)
    with pytest.raises(InputError, match=r"At model.layers.1 .*source: 5 rows are too few for 4"):
        fit(tiny(), NEGATIVE[:5], POSITIVE, 1, map=few)
    with pytest.raises(InputError, match=r"target: expected at least 2 rows, got 1"):
        fit(tiny(), NEGATIVE, POSITIVE[:1], 1)


def test_constant_activations_are_refused_with_set_and_site() -> None:
    with pytest.raises(InputError, match=r"At model.layers.1 .*source: all 3 rows are equal"):
        fit(tiny(), NEGATIVE[:1] * 3, POSITIVE, 1)


def test_activations_that_are_not_finite_are_refused_with_set_site_and_count() -> None:
    model = tiny(seed=7)
    site = Sites.of(model.model).residual(1)
    bad = torch.full((32,), float("nan"))
    handle = site.attach(model.model, lambda x: torch.where(x[..., :1] > 0, bad, x))
    try:
        with pytest.raises(
            InputError, match=r"At model.layers.1 .*source: \d+ of its 12 rows hold NaN"
        ):
            fit(model, NEGATIVE, POSITIVE, 1)
    finally:
        handle.remove()


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_subspace_that_misses_the_contrast_warns() -> None:
    rng = np.random.default_rng(0)
    source = torch.from_numpy(rng.normal(size=(40, 8)) * [9, 1, 1, 1, 1, 1, 1, 1])
    target = source.flip(0) + torch.tensor([0, 1.0, 0, 0, 0, 0, 0, 0])
    with pytest.raises(UserWarning, match="holds 0 % of the mean difference; raise n_components"):
        GaussianTransport(1).fit(source, target)


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_map_that_stretches_too_much_warns() -> None:
    with pytest.raises(UserWarning, match="stretches its axes"):
        fit(
            tiny(),
            [f"the {word} was dull" for word in ("film", "book", "film", "book")],
            POSITIVE,
            1,
            map=GaussianTransport(1, basis="mean_difference", shrinkage=0.0),
        )


def test_half_precision_is_fitted_in_float64() -> None:
    model = tiny("llama", seed=3)
    half = type(model)(model.model.to(torch.bfloat16), model.tokenizer, "half", None)  # pyright: ignore
    steering = fit(half, NEGATIVE, POSITIVE, 1, map=EXACT, apply="all")
    (site,) = steering.sites
    assert steering.maps[site].matrix.dtype == torch.float64  # pyright: ignore
    with steering.on(half):
        rows = collect(half, NEGATIVE, [site])[site]
    assert rows.dtype == torch.bfloat16
    assert bool(rows.isfinite().all())


def test_layers_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="blocks 0 to 2"):
        fit(tiny(), NEGATIVE, POSITIVE, 3)
    with pytest.raises(InputError, match="did you mean"):
        fit(tiny(), NEGATIVE, POSITIVE, Site("model.layer.1"))
    with pytest.raises(InputError, match="at least one block"):
        fit(tiny(), NEGATIVE, POSITIVE, [])


def test_positions_that_no_prompt_has_are_refused() -> None:
    with pytest.raises(InputError, match="No token of target"):
        fit(tiny(), NEGATIVE, POSITIVE, 1, positions=slice(40, None))


@pytest.mark.parametrize(
    "rule", [slice(None), torch.tensor([[0, 2]] * 4), lambda c: c.positions >= 0]
)
def test_first_tokens_that_a_rule_names_are_left_out_with_a_note(rule: Any) -> None:
    model = tiny()
    sites = [Sites.of(model.model).residual(i) for i in (0, 1)]
    with pytest.warns(UserWarning, match=r"^4 first tokens, .* were left out of prompts"):
        rows = collect(model, NEGATIVE[:4], sites, rule, batch_size=4)
    without = slice(1, None) if not isinstance(rule, torch.Tensor) else 2
    expected = collect(model, NEGATIVE[:4], sites, without, batch_size=4)
    torch.testing.assert_close(rows[sites[1]], expected[sites[1]])
