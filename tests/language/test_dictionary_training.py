"""Training a dictionary finds planted directions, and what comes out describes the data."""

from __future__ import annotations

import pytest
import torch

from axonal.errors import InputError
from axonal.language.dictionaries import latent_statistics, quality, train_dictionary
from axonal.language.dictionaries.objective import Autoencoder

WIDTH, PLANTED = 24, 40


@pytest.fixture(scope="module")
def planted():
    """Activations that are sparse sums of planted directions, off centre and at a scale of 30."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(PLANTED, WIDTH, generator=generator)
    directions = torch.nn.functional.normalize(rows, dim=-1)
    on = torch.rand(3000, PLANTED, generator=generator) < 0.05
    strength = 0.5 + torch.rand(3000, PLANTED, generator=generator)
    return 30 * (on * strength) @ directions + 7.0, directions


@pytest.mark.parametrize(
    ("kind", "options"),
    [("topk", {"k": 3}), ("relu", {"penalty": 3e-3}), ("jumprelu", {"penalty": 5e-3})],
)
def test_every_kind_finds_the_planted_directions(planted, kind, options):
    rows, directions = planted
    sae, history = train_dictionary(
        rows, 64, kind=kind, steps=200, batch=256, learning_rate=1e-2, **options
    )
    found = torch.nn.functional.normalize(sae.dictionary.decoder, dim=-1)
    assert float(((found @ directions.mT).max(0).values > 0.9).float().mean()) > 0.8
    assert quality(sae, rows).require().explained > 0.8
    assert history.loss[-1] < history.loss[0] / 3


def test_the_quality_of_training_is_that_of_the_folded_weights(planted):
    rows, _ = planted
    model = Autoencoder(WIDTH, 64, k=4, center=rows.mean(0), scale=0.1, seed=1)
    with torch.no_grad():
        model.encoder_bias.normal_(generator=torch.Generator().manual_seed(2))
        model.decoder_bias.normal_(generator=torch.Generator().manual_seed(3))
    _, beside = model.loss(rows)
    dictionary = model.dictionary()
    latents = dictionary.encode(rows)
    left = rows - latents @ dictionary.decoder - dictionary.decoder_bias
    variance = (rows - rows.mean(0)).square().sum(-1).mean()
    torch.testing.assert_close(left.square().sum(-1).mean() / variance, beside["error"])
    assert float((latents > 0).sum(-1).float().mean()) == pytest.approx(float(beside["active"]))


def test_the_same_seed_trains_the_same_dictionary_also_when_it_was_interrupted(planted, tmp_path):
    rows, _ = planted
    options = {"k": 3, "batch": 128, "seed": 5}
    whole, _ = train_dictionary(rows, 32, steps=6, **options)

    class KilledError(Exception):
        pass

    def kill(done: int, total: int) -> None:
        if done == 4:
            raise KilledError

    with pytest.raises(KilledError):
        train_dictionary(rows, 32, steps=6, folder=tmp_path / "run", progress=kill, **options)
    again, _ = train_dictionary(rows, 32, steps=6, folder=tmp_path / "run", **options)
    assert torch.equal(whole.dictionary.encoder, again.dictionary.encoder)


def test_dead_latents_reconstruct_what_is_left_over(planted):
    rows, _ = planted
    model = Autoencoder(WIDTH, 64, k=2, center=rows.mean(0), scale=0.1, dead_after=10)
    with torch.no_grad():
        model.encoder_bias[:32] = -1e3  # never among the two largest
    model.loss(rows[:16])
    _, beside = model.loss(rows[16:32])
    assert beside["dead"] >= 32
    loss, _ = model.loss(rows[:64])
    loss.backward()
    assert model.encoder.grad is not None
    assert model.rows.grad is not None


def test_statistics_count_what_is_active(planted):
    rows, _ = planted
    sae, _ = train_dictionary(rows, 32, k=3, steps=5, batch=256)
    found = latent_statistics(sae, rows, chunk=1000)
    latents = sae.encode(rows).double()
    torch.testing.assert_close(found.frequency, (latents > 0).double().mean(0))
    alive = found.alive
    mean = latents.sum(0)[alive] / (latents > 0).sum(0)[alive]
    torch.testing.assert_close(found.magnitude[alive], mean)
    torch.testing.assert_close(found.largest, latents.max(0).values)
    assert set(found.between(0.0, 1.0)) == set(range(32))


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (torch.ones(10, 4), {}, "All activations are the same"),
        (torch.ones(4), {}, "tokens, width"),
        (torch.full((10, 4), torch.nan), {}, "not finite"),
        (torch.randn(10, 4), {"k": 9}, "topk keeps between 1 and all 8"),
        (torch.randn(10, 4), {"kind": "jumprelu", "penalty": 0.0}, "positive penalty"),
        (torch.randn(10, 4), {"kind": "gated"}, "No kind of dictionary"),
    ],
)
def test_what_cannot_be_trained_is_refused(rows, options, words):
    with pytest.raises(InputError, match=words):
        train_dictionary(rows, 8, steps=2, **options)


def test_a_dictionary_that_does_not_fit_is_refused(planted):
    rows, _ = planted
    sae, _ = train_dictionary(rows, 64, k=3, steps=100, batch=256, learning_rate=1e-2)
    quality(sae, rows).require()
    with pytest.raises(InputError, match="wrong normalisation"):
        quality(sae, rows * 0.01).require()
    with pytest.raises(InputError, match="another model or site"):
        quality(sae, torch.randn(10, WIDTH + 1))
