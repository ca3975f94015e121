r"""Activation momentum: in how many contrastive pairs a unit is larger in the good text (eq. 2).

.. math:: m_i^j = x_i^{j,pos} - x_i^{j,neg}, \quad r_i^{pos} = \frac1N \sum_j 1(m_i^j > 0), \quad
          r_i^{neg} = \frac1N \sum_j 1(m_i^j < 0), \quad s_i = \max(r_i^{pos}, r_i^{neg})

Only signs count, so the score compares units of any scale, across layers. Signs are counted pair by
pair: two integers a unit, whatever the number of pairs, their order and their batches. Beside them
the moments are kept that the baselines need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from axonal.activations import record
from axonal.errors import InputError
from axonal.language.atomic_units.pairs import ContrastivePairs
from axonal.language.atomic_units.sites import UNIT_SITES, UnitSite, check_site, unit_site
from axonal.language.atomic_units.texts import PaddedTexts
from axonal.language.models import LanguageModel

POSITIONS = ("answer", "prompt")


@dataclass(frozen=True, eq=False)
class Momentum:
    """What is counted over pairs at one site; momenta of other pairs can be added to it.

    Parameters
    ----------
    site
        Which units.
    positive, negative
        ``(layers, units)`` int64: pairs in which the unit is larger, and smaller, in the good text.
    pairs
        How many pairs were counted.
    difference, difference_square
        ``(layers, units)`` float64: sums over pairs of ``m`` and of its square.
    power
        ``(layers, units)`` float64: sum over both texts of the squared activation.
    heads
        Attention heads that the units of a layer divide into; None at other sites.
    position, model, revision
        Where in the texts, and in which model, activations were taken.
    """

    site: UnitSite
    positive: Tensor
    negative: Tensor
    pairs: int
    difference: Tensor
    difference_square: Tensor
    power: Tensor
    heads: int | None = None
    position: str = "answer"
    model: str = ""
    revision: str | None = None

    def __post_init__(self) -> None:
        check_site(self.site)
        if self.positive.ndim != 2 or self.positive.shape != self.negative.shape:
            raise InputError(
                "Momentum counts have shape (layers, units), got "
                f"{tuple(self.positive.shape)} and {tuple(self.negative.shape)}."
            )

    @classmethod
    def of(
        cls, positive: Tensor, negative: Tensor, site: UnitSite = "layer", **about: object
    ) -> Momentum:
        """Count activations of the good and the bad texts, each ``(pairs, layers, units)``."""
        if positive.ndim != 3 or positive.shape != negative.shape:
            raise InputError(
                "Activations have shape (pairs, layers, units) for good and bad texts alike, got "
                f"{tuple(positive.shape)} and {tuple(negative.shape)}."
            )
        for name, x in (("good", positive), ("bad", negative)):
            if not bool(x.isfinite().all()):
                pair, layer, unit = (~x.isfinite()).nonzero()[0].tolist()
                raise InputError(
                    f"The activation of layer {layer}, unit {unit} in the {name} text of pair "
                    f"{pair} is not finite: load the model in float32 or bfloat16."
                )
        good, bad = positive.double(), negative.double()
        momentum = good - bad
        return cls(
            site=site,
            positive=(positive > negative).sum(0),
            negative=(positive < negative).sum(0),
            pairs=len(positive),
            difference=momentum.sum(0),
            difference_square=momentum.square().sum(0),
            power=good.square().sum(0) + bad.square().sum(0),
            **about,  # pyright: ignore[reportArgumentType]
        )

    def __add__(self, other: Momentum) -> Momentum:
        """Return the counts of both sets of pairs."""
        for name in ("site", "heads", "position", "model", "revision"):
            if getattr(self, name) != getattr(other, name):
                raise InputError(
                    f"Momenta of different {name} don't add: {getattr(self, name)!r} and "
                    f"{getattr(other, name)!r}."
                )
        names = ("positive", "negative", "pairs", "difference", "difference_square", "power")
        return replace(self, **{n: getattr(self, n) + getattr(other, n) for n in names})

    @property
    def layers(self) -> int:
        """How many layers have units here."""
        return self.positive.shape[0]

    @property
    def width(self) -> int:
        """How many units a layer has."""
        return self.positive.shape[1]

    @property
    def positive_rate(self) -> Tensor:
        """``(layers, units)``: the share of pairs in which the unit is larger in the good text."""
        return self.positive.double() / self.pairs

    @property
    def negative_rate(self) -> Tensor:
        """``(layers, units)``: the share of pairs in which it is smaller."""
        return self.negative.double() / self.pairs

    @property
    def score(self) -> Tensor:
        """``(layers, units)``: the larger of the two rates."""
        return torch.maximum(self.positive, self.negative).double() / self.pairs

    @property
    def mean_difference(self) -> Tensor:
        """``(layers, units)``: the mean of the momentum, which depends on the unit's scale."""
        return self.difference / self.pairs


def measure(
    language_model: LanguageModel,
    pairs: ContrastivePairs,
    site: UnitSite = "attention",
    *,
    position: str = "answer",
    batch_size: int = 8,
    max_length: int = 512,
    compare_as: torch.dtype | None = None,
) -> Momentum:
    """Count the momentum signs of every unit at one site.

    Parameters
    ----------
    language_model, pairs
        The model, and what it reads.
    site
        ``attention``, ``mlp_out``, ``down_proj_in`` or ``layer``.
    position
        ``"answer"`` takes the last token of the whole text, as the paper does; ``"prompt"`` the last
        token of the prompt, which needs pairs whose prompts differ.
    batch_size
        Pairs a batch; it changes the speed and not the counts.
    max_length
        Tokens that a text may have; longer ones lose their beginning, so that the answer stays.
    compare_as
        Round activations to this type before they are compared; the official code compares float16.
    """
    found = measure_sites(
        language_model,
        pairs,
        [site],
        position=position,
        batch_size=batch_size,
        max_length=max_length,
        compare_as=compare_as,
    )
    return found[site]


def measure_sites(
    language_model: LanguageModel,
    pairs: ContrastivePairs,
    sites: tuple[UnitSite, ...] | list[UnitSite] = UNIT_SITES,
    *,
    position: str = "answer",
    batch_size: int = 8,
    max_length: int = 512,
    compare_as: torch.dtype | None = None,
) -> dict[UnitSite, Momentum]:
    """Count the momentum signs at several sites, from the same forward passes; see ``measure``."""
    if batch_size < 1:
        raise InputError(f"batch_size is at least 1; got {batch_size}.")
    total: dict[UnitSite, Momentum] = {}
    rows = _texts(language_model, pairs, position, max_length)
    for activations in _batches(language_model, rows, list(sites), batch_size):
        for site, x in activations.items():
            good, bad = (x if compare_as is None else x.to(compare_as)).unbind(1)
            part = Momentum.of(
                good,
                bad,
                site,
                heads=language_model.model.config.get_text_config().num_attention_heads
                if site == "attention"
                else None,
                position=position,
                model=language_model.name,
                revision=language_model.revision,
            )
            total[site] = total[site] + part if site in total else part
    return total


def _texts(
    language_model: LanguageModel, pairs: ContrastivePairs, position: str, max_length: int
) -> PaddedTexts:
    """Tokenise the good and the bad text of each pair, one after the other."""
    if position not in POSITIONS:
        raise InputError(f"position is 'answer' or 'prompt'; got {position!r}.")
    good, bad = pairs.positive_texts, pairs.negative_texts
    if position == "prompt":
        good, bad = pairs.prompts, pairs.negative_prompts or pairs.prompts
        if good == bad:
            raise InputError(
                "At position 'prompt' the two texts of every pair are the same up to there, so all "
                "momenta are zero: give pairs a negative_prompt, or use position='answer'."
            )
    texts = [text for pair in zip(good, bad, strict=True) for text in pair]
    return PaddedTexts.of(language_model.tokenizer, texts, max_length=max_length)


def _batches(
    language_model: LanguageModel, texts: PaddedTexts, sites: list[UnitSite], batch_size: int
) -> Iterator[dict[UnitSite, Tensor]]:
    """Yield the activations of batches of pairs, ``(pairs, 2, layers, units)`` at each site."""
    model = language_model.model
    depth = model.config.get_text_config().num_hidden_layers
    places = {site: [unit_site(model, site, layer) for layer in range(depth)] for site in sites}
    wanted = [place for layers in places.values() for place in layers]
    lengths = texts.lengths.view(-1, 2).amax(1)
    order = lengths.argsort(stable=True)  # like lengths together: less padding
    for chosen in order.split(batch_size):
        rows = torch.stack([2 * chosen, 2 * chosen + 1], dim=1).flatten()
        batch = texts.batch(rows, language_model.device)
        cache = record(model, batch, wanted, positions=texts.last(rows))
        yield {site: _stack(site, [cache[place] for place in places[site]]) for site in sites}


def _stack(site: UnitSite, layers: list[Tensor]) -> Tensor:
    widths = {x.shape[-1] for x in layers}
    if len(widths) > 1:
        raise InputError(
            f"The layers have {sorted(widths)} units at {site}, and one ranking needs equally many."
        )
    return torch.stack([x.cpu() for x in layers], dim=1).unflatten(0, (-1, 2))
