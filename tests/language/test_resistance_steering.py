"""Boosts and clamps do to the stream what the equations say, also with cache and padding."""

from __future__ import annotations

import pytest
import torch
from relevance_models import hooks_on
from resistance_models import random_sae, tiny

from axonal.activations import Dictionary, Latents, Sites, edit, record, recording
from axonal.errors import InputError
from axonal.language.dictionaries import SparseAutoencoder
from axonal.language.resistance import (
    Boosts,
    Condition,
    Sampling,
    ablate,
    conversation,
    sample,
    scale_latents,
    steering_edits,
    steering_site,
)
from axonal.language.resistance.sampling import RowSampler

KINDS = ("relu", "topk", "jumprelu")


@pytest.fixture(scope="module")
def model():
    return tiny()


def stream(sae: SparseAutoencoder, rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, 5, sae.width, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("kind", KINDS)
def test_a_clamp_to_the_current_value_is_the_identity(kind):
    sae, x = random_sae(kind), stream(random_sae(), rows=1)[:, :1]
    active = sae.encode(x)[0, 0]
    for latent in range(4):
        clamped = Latents(sae.dictionary, clamp={latent: float(active[latent])})(x)
        assert float((clamped - x).abs().max()) <= 1e-6


def test_scaling_latents_by_one_changes_nothing_at_all():
    sae, x = random_sae(), stream(random_sae())
    site = Sites.of(tiny().model).residual(1)
    edits = steering_edits(sae, site, condition=scale_latents([1, 2], 1))
    for one in edits[site]:
        assert torch.equal(one(x), x)


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0, -1.0])
def test_scaled_latents_count_so_many_times(factor):
    sae, x = random_sae(), stream(random_sae())
    site = Sites.of(tiny().model).residual(1)
    (one,) = steering_edits(sae, site, condition=scale_latents([3, 8], factor))[site]
    active = sae.encode(x)[..., [3, 8]]
    expected = x + (factor - 1) * active @ sae.dictionary.decoder[[3, 8]]
    torch.testing.assert_close(one(x), expected, atol=1e-5, rtol=0)


def test_ablation_in_an_orthonormal_linear_dictionary_leaves_the_other_latents():
    rows = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0))).Q
    linear = Dictionary(rows, rows, activation="jumprelu", threshold=torch.full((8,), -torch.inf))
    sae = SparseAutoencoder(Dictionary(rows, rows))
    x = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1))
    before = linear.encode(x)
    after = linear.encode(Latents(linear, clamp={2: 0.0})(x))
    assert float(after[..., 2].abs().max()) < 1e-6
    others = [k for k in range(8) if k != 2]
    torch.testing.assert_close(after[..., others], before[..., others], atol=1e-6, rtol=0)
    assert sae.latents == 8


def test_clamps_are_independent_of_their_order_when_read_before():
    sae, x = random_sae(), stream(random_sae(), rows=2)
    site = Sites.of(tiny().model).residual(1)

    def moved(order: list[int], read: str) -> torch.Tensor:
        condition = Condition("c", {k: 0.1 * k for k in order})
        chain = steering_edits(sae, site, [9, 9], [2.0, 2.0], condition, read=read)[site]
        y = x
        for one in chain:
            y = one(y)
        return y

    torch.testing.assert_close(
        moved([1, 4, 6], "before"), moved([6, 1, 4], "before"), atol=1e-6, rtol=0
    )
    at_once = Latents(sae.dictionary, add={9: 2.0}, clamp={1: 0.1, 4: 0.4, 6: 0.6})
    torch.testing.assert_close(moved([1, 4, 6], "before"), at_once(x), atol=1e-5, rtol=0)
    later = Latents(sae.dictionary, add={9: 2.0}, clamp={1: 0.1, 4: 0.4, 6: 0.6}, read="after")
    torch.testing.assert_close(moved([1, 4, 6], "after"), later(x), atol=1e-5, rtol=0)
    assert not torch.allclose(at_once(x), later(x))


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_a_boost_moves_every_token_by_its_decoder_row_also_with_cache_and_padding(family):
    language_model = tiny(family)
    model, sae = language_model.model, random_sae()
    site = Sites.of(model).residual(1)
    ids = torch.randint(3, 97, (2, 6), generator=torch.Generator().manual_seed(3))
    mask = torch.ones(2, 6, dtype=torch.long)
    mask[1, :3] = 0
    latents, boosts = [4, 11], [1.5, -2.0]
    edits = steering_edits(sae, site, latents, boosts)
    batch = {"input_ids": ids, "attention_mask": mask}
    plain = record(model, batch, [site])[site]
    with edit(model, edits):
        moved = record(model, batch, [site])[site]  # the hook that came first acts first
    expected = (
        plain + torch.tensor(boosts)[:, None, None] * sae.dictionary.decoder[latents][:, None]
    )
    real = mask.bool()
    torch.testing.assert_close(moved[real], expected[real], atol=1e-5, rtol=0)
    # With a cache the stream of the last token is the one that a full pass computes.
    settings = {"max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}
    seen = []
    with edit(model, edits), recording(model, [site]) as cache:
        handle = model.register_forward_hook(lambda *_: seen.append(cache[site][:, -1].clone()))
        made = model.generate(**batch, **settings)
        handle.remove()
    whole = torch.cat([mask, torch.ones(2, made.shape[1] - 6, dtype=torch.long)], dim=1)
    with edit(model, edits):
        full = record(model, {"input_ids": made, "attention_mask": whole}, [site])[site]
    for number, last in enumerate(seen):
        torch.testing.assert_close(last, full[:, 5 + number], atol=1e-4, rtol=1e-4)
    assert hooks_on(model) == 0


def test_rows_of_a_batch_are_steered_as_they_are_alone(model):
    sae, site = random_sae(), Sites.of(model.model).residual(1)
    prompts = [[1, 10, 11], [1, 20, 21, 22, 23]]
    plan = Sampling(6, 1.0, 1.2)
    together = sample(model, prompts, [5, 6], plan, steering_edits(sae, site, [1, 2], [3.0, -4.0]))
    for row, (latent, boost) in enumerate([(1, 3.0), (2, -4.0)]):
        alone = sample(
            model, [prompts[row]], [5 + row], plan, steering_edits(sae, site, [latent], [boost])
        )
        assert alone[0] == together[row]


def test_batching_changes_no_sample(model):
    prompts = [[1, *range(10, 10 + n)] for n in (1, 4, 2, 6)]
    plan = Sampling(8, 0.9, 1.3)
    together = sample(model, prompts, [1, 2, 3, 4], plan)
    assert together == [
        sample(model, [p], [s], plan)[0] for p, s in zip(prompts, (1, 2, 3, 4), strict=True)
    ]
    assert together != sample(model, prompts, [5, 6, 7, 8], plan)


def test_a_boost_of_zero_gives_the_base_models_tokens(model):
    sae, site = random_sae(), Sites.of(model.model).residual(1)
    plan = Sampling(8, 1.0, 1.1)
    edits = steering_edits(sae, site, [3, 3], [0.0, 0.0])
    assert sample(model, [[1, 5], [1, 9]], [1, 2], plan, edits) == sample(
        model, [[1, 5], [1, 9]], [1, 2], plan
    )


def test_greedy_decoding_is_that_of_transformers(model):
    ids = torch.tensor([[1, 5, 9]])
    settings = {
        "max_new_tokens": 6,
        "do_sample": False,
        "pad_token_id": 0,
        "repetition_penalty": 1.4,
    }
    theirs = model.model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    assert sample(model, [[1, 5, 9]], [0], Sampling(6, 0.0, 1.4))[0] == theirs[0, 3:].tolist()


def test_tokens_are_drawn_with_their_probabilities():
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0]).expand(4000, -1)
    mask = torch.ones(4000, 1)
    chooser = RowSampler(range(4000), Sampling(1, 0.5, 1.0), mask)
    drawn = chooser(torch.zeros(4000, 1, dtype=torch.long), logits).argmax(-1)
    counts = torch.bincount(drawn, minlength=4) / 4000
    torch.testing.assert_close(counts, torch.softmax(logits[0] / 0.5, -1), atol=0.03, rtol=0)


def test_generation_ends_at_the_end_token(model):
    held = model.model.generation_config.eos_token_id
    first = sample(model, [[1, 5]], [0], Sampling(8, 0.0, 1.0))[0]
    model.model.generation_config.eos_token_id = first[2]
    try:
        assert (
            sample(model, [[1, 5]], [0], Sampling(8, 0.0, 1.0))[0] == first[: first.index(first[2])]
        )
    finally:
        model.model.generation_config.eos_token_id = held


def test_a_conversation_is_the_templates(model):
    assert conversation(tiny(chat=True), "w9", "w5 w6") == ([1, 9, 3, 5, 6], 3)
    assert conversation(model, "w9") == ([9], 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s, p: steering_edits(s, p, [1], [1.0], ablate([1])), "boosted and clamped at once"),
        (lambda s, p: ablate([1, 2, 1]), "Latent 1 is clamped twice"),
        (lambda s, p: steering_edits(s, p, [99], [1.0]), "There is no latent 99"),
        (lambda s, p: Boosts(s.dictionary, [1], [float("nan")]), "not finite"),
        (lambda s, p: Boosts(s.dictionary, [1], [1.0, 2.0]), "one boost each"),
        (lambda s, p: steering_edits(s, p, [1], [1.0], read="during"), "read is"),
        (lambda s, p: Condition(template="no place"), "holds {prompt}"),
        (lambda s, p: Condition(strength=float("inf")), "strength is inf"),
        (lambda s, p: Sampling(0), "new_tokens"),
        (lambda s, p: Sampling(1, -1.0), "temperature"),
        (lambda s, p: Sampling(1, 1.0, 0.0), "repetition_penalty"),
    ],
)
def test_what_cannot_be_steered_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call(random_sae(), Sites.of(tiny().model).residual(1))


def test_a_dictionary_of_another_model_or_site_is_noticed(model):
    sae = random_sae()
    assert steering_site(model, sae) == Sites.of(model.model).residual(1)
    with pytest.raises(InputError, match="allow_site_mismatch"):
        steering_site(model, sae, Sites.of(model.model).residual(2))
    with pytest.warns(UserWarning, match="where they were not trained"):
        steering_site(model, sae, Sites.of(model.model).residual(2), allow_site_mismatch=True)
    rows = torch.randn(4, 7)
    with pytest.raises(InputError, match="do not belong together"):
        steering_site(model, SparseAutoencoder(Dictionary(rows, rows), sae.place))
    with pytest.warns(UserWarning, match="was trained on a/other"):
        steering_site(model, SparseAutoencoder(sae.dictionary, sae.place, "a/other"))
    with pytest.raises(InputError, match="does not say where"):
        steering_site(model, SparseAutoencoder(sae.dictionary))


def test_latents_are_left_alone_at_first_tokens_that_the_dictionary_never_saw(model):
    sae = random_sae(skip=1)
    site = Sites.of(model.model).residual(1)
    batch = {"input_ids": torch.tensor([[1, 5, 9, 12]])}
    plain = record(model.model, batch, [site])[site]
    with edit(model.model, steering_edits(sae, site, [2], [5.0], ablate([4]))):
        moved = record(model.model, batch, [site])[site]
    assert torch.equal(moved[:, 0], plain[:, 0])
    assert not torch.allclose(moved[:, 1:], plain[:, 1:])


def test_prompts_and_seeds_must_fit(model):
    with pytest.raises(InputError, match="one seed each"):
        sample(model, [[1, 2]], [1, 2], Sampling(2))
    with pytest.raises(InputError, match="A prompt is empty"):
        sample(model, [[]], [1], Sampling(2))
