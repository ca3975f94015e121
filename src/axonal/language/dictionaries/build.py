"""Build the asset ``smollm2-135m-sae-18``: ``python -m axonal.language.dictionaries.build``.

A TopK dictionary of the residual stream that leaves block 18 of SmolLM2-135M-Instruct, trained here on
the model's own answers and Python's reference. A program of its own, started by
:mod:`axonal.assets.building` with ``BASE INTO SEED``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from axonal.assets.building import report_step
from axonal.assets.processes import end_with_the_parent

BLOCK = 18


@dataclass(frozen=True)
class Recipe:
    """How the dictionary is made.

    Parameters
    ----------
    tokens
        Of the corpus.
    latents, k
        Of the dictionary.
    steps, batch
        Of the training.
    new_tokens
        Of each answer that the model writes for the corpus.
    """

    tokens: int = 30_000
    latents: int = 2304
    k: int = 32
    steps: int = 600
    batch: int = 1024
    new_tokens: int = 140


def questions() -> list[str]:
    """Return what the model is asked to write the corpus."""
    from axonal.language.resistance.questions import HOW_TO
    from axonal.language.resistance.topics import TOPICS

    return [*HOW_TO, *(f"Write a short text about {topic}." for topic in TOPICS)]


def main(base: str, into: Path, seed: int) -> None:
    """Write, harvest, train, measure and save into an existing folder."""
    import torch
    from safetensors.torch import save_file

    from axonal.activations import Sites
    from axonal.language.dictionaries import (
        harvest,
        latent_statistics,
        quality,
        save_dictionary,
        top_words,
        train_dictionary,
    )
    from axonal.language.dictionaries.corpus import own_texts, python_reference
    from axonal.language.models import load

    torch.set_num_threads(min(2, torch.get_num_threads()))
    recipe = Recipe()
    language_model = load(base)
    total = 2 * recipe.steps
    written = own_texts(
        language_model,
        questions(),
        new_tokens=recipe.new_tokens,
        seed=seed,
        progress=lambda done, of: report_step(recipe.steps // 2 * done // of, total),
    )
    site = Sites.of(language_model.model).residual(BLOCK)
    corpus = [*written, *python_reference()]
    held_out = harvest(language_model, written[::10] + python_reference()[::40], site, limit=3000)
    found = harvest(
        language_model,
        [text for number, text in enumerate(corpus) if number >= len(written) or number % 10],
        site,
        limit=recipe.tokens,
    )
    sae, history = train_dictionary(
        found,
        recipe.latents,
        k=recipe.k,
        steps=recipe.steps,
        batch=recipe.batch,
        seed=seed,
        progress=lambda done, _: report_step(recipe.steps + done, total),
    )
    save_dictionary(sae, into)
    statistics = latent_statistics(sae, found)
    about = {
        "recipe": asdict(recipe),
        "block": BLOCK,
        "seed": seed,
        "trained_on": asdict(quality(sae, found)),
        "held_out": asdict(quality(sae, held_out)),
        "loss": [round(float(value), 5) for value in history.loss],
        "alive": int(statistics.alive.sum()),
    }
    (into / "dictionary.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    alive = statistics.alive.nonzero().squeeze(-1).tolist()
    labels = top_words(sae, found, language_model.tokenizer, alive)
    (into / "labels.json").write_text(json.dumps(labels, indent=0) + "\n", encoding="utf-8")
    kept = {"frequency": statistics.frequency, "magnitude": statistics.magnitude}
    save_file(kept | {"largest": statistics.largest}, into / "latents.safetensors")


if __name__ == "__main__":
    end_with_the_parent()
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
