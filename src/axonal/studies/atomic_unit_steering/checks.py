"""What the score is worth: the answer's identity as a confound, and units that were planted."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from axonal.language.atomic_units import ContrastivePairs, measure_sites
from axonal.language.atomic_units.ranking import ranking
from axonal.language.models import LanguageModel
from axonal.studies.atomic_unit_steering.measures import TOP, questions_of, top

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.atomic_unit_steering.study import Config


def confound(model: LanguageModel, config: Config, session: Session) -> xr.Dataset:
    """Compare the ranking of balanced pairs with that of one answer, and with that of prompts."""
    asked = questions_of("sentiment", model, config, session).ranking
    count = min(config.confound_pairs, len(asked) // 2)
    good = [i for i, answer in enumerate(asked.right) if answer == " positive"][:count]
    bad = [i for i, answer in enumerate(asked.right) if answer == " negative"][:count]
    mixed = sorted([*good[: count // 2], *bad[: count - count // 2]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the imbalance is the point
        balanced = asked[mixed].pairs()
        unbalanced = asked[good].pairs()
        prompts = ContrastivePairs.of(
            asked[good].prompts, asked[good].right, asked[bad].right, asked[bad].prompts
        )
    found = {
        "balanced": measure_sites(model, balanced, ["attention"])["attention"],
        "one answer": measure_sites(model, unbalanced, ["attention"])["attention"],
        "prompt": measure_sites(model, prompts, ["attention"], position="prompt")["attention"],
    }
    tops = {name: set(top(momentum).tolist()) for name, momentum in found.items()}
    return xr.Dataset(
        {
            "above": ("ranked", [float((m.score >= 0.95).double().mean()) for m in found.values()]),
            "shared": ("ranked", [len(tops["balanced"] & top) / TOP for top in tops.values()]),
        },
        coords={"ranked": list(found)},
    )


def organism(config: Config, session: Session) -> xr.Dataset:
    """Find planted units by momentum and by difference, whatever the scale of the layers."""
    from axonal.language.atomic_units import Momentum
    from axonal.language.atomic_units.organism import Organism

    growths = (1.0, 3.0, 10.0, 30.0, 100.0)
    precision = np.empty((2, len(growths), config.repeats))
    for column, growth in enumerate(growths):
        for repeat in range(config.repeats):
            seed = session.seed_for(f"organism {repeat}")
            one = Organism.grow(units=config.organism_units, growth=growth, seed=seed)
            momentum = Momentum.of(one.activations(one.good), one.activations(one.bad))
            for row, values in enumerate((momentum.score, momentum.mean_difference.abs())):
                chosen = ranking(values)[: len(one.planted)]
                precision[row, column, repeat] = one.precision(chosen)
    return xr.Dataset(
        {"precision": (("ranking", "growth", "repeat"), precision)},
        coords={"ranking": ["momentum", "difference"], "growth": list(growths)},
    )
