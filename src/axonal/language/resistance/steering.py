r"""Boost one latent in each row of a batch while others are clamped (appendix A.1.3).

.. math:: A \leftarrow A + b\,W_{k^*} + \sum_k (v_k - f_k)\,W_k

with :math:`W` the decoder's rows and :math:`f` the latents. What the dictionary does not reconstruct
stays in, so a clamp to the current value changes nothing. Neither :math:`W` nor :math:`b` is
normalised. With ``read="before"`` all :math:`f_k` are read from the incoming activation, and the
order of clamps and boost does not matter; with ``"after"`` they are read from the boosted one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from typing_extensions import override

from axonal.activations import Dictionary, Edit, Latents, Site
from axonal.activations.call import Call
from axonal.activations.editing import EditsBySite
from axonal.activations.positions import Positions
from axonal.errors import InputError
from axonal.language.dictionaries import SparseAutoencoder
from axonal.language.models import LanguageModel


class Boosts(Edit):
    """Boost one latent a row: ``x[i] + boosts[i] * W[latents[i]]``.

    Parameters
    ----------
    dictionary
        Whose decoder rows are added.
    latents, boosts
        ``(rows,)`` each: one a row of the batch.
    limits
        ``positions``, ``tokens``, ``rows`` and ``strength``, as for every edit.
    """

    _steps: Tensor

    def __init__(
        self,
        dictionary: Dictionary,
        latents: Sequence[int],
        boosts: Sequence[float],
        **limits: Any,
    ) -> None:
        super().__init__(**limits)
        if len(latents) != len(boosts):
            raise InputError(f"{len(latents)} latents need one boost each, got {len(boosts)}.")
        amounts = torch.tensor([float(boost) for boost in boosts])
        if not bool(amounts.isfinite().all()):
            raise InputError("A boost is not finite: was its threshold reached?")
        self.latents, self.boosts = list(latents), list(boosts)
        rows = dictionary.decoder[torch.tensor(self.latents, dtype=torch.long)]
        self.register_buffer("_steps", amounts.to(rows)[:, None] * rows)

    @property
    @override
    def needs_call(self) -> bool:
        return True

    @override
    def change(self, x: Tensor, call: Call | None) -> Tensor:
        assert call is not None
        self.check_width(x, self._steps.shape[1])
        call.check_rows(len(self._steps), "A boost")
        return x + self._steps.to(x)[call.rows.to(x.device)].unsqueeze(1)


@dataclass(frozen=True)
class Condition:
    """What is done to a model besides the boost of a trial.

    Parameters
    ----------
    name
        How reports call it.
    clamp
        ``{latent: value}``: 0 ablates.
    strength
        How far clamped latents go to their value: 1 all the way, 0.5 half way, and -1 as far in the
        other direction, which for a value of 0 doubles them.
    template
        What becomes of the question; ``{prompt}`` stands for it.
    selected_on
        The prompts that the clamped latents were chosen on; trials on them are warned about.
    """

    name: str = "steered"
    clamp: Mapping[int, float] = field(default_factory=dict)
    strength: float = 1.0
    template: str = "{prompt}"
    selected_on: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if "{prompt}" not in self.template:
            raise InputError(f"A template holds {{prompt}}, got {self.template!r}.")
        if not math.isfinite(self.strength):
            raise InputError(f"Condition {self.name}: strength is {self.strength}.")

    def question(self, prompt: str) -> str:
        """Return what is asked."""
        return self.template.replace("{prompt}", prompt)


def ablate(
    latents: Iterable[int], *, name: str = "ablated", selected_on: Iterable[str] = ()
) -> Condition:
    """Return the condition in which latents are held at 0; naming one twice is an error."""
    return Condition(name, clamps(latents, 0.0), selected_on=frozenset(selected_on))


def scale_latents(
    latents: Iterable[int], factor: float, *, name: str = "", selected_on: Iterable[str] = ()
) -> Condition:
    """Return the condition in which latents count ``factor`` times: 0 ablates, 1 changes nothing."""
    name = name or f"{factor:g} times"
    return Condition(name, clamps(latents, 0.0), 1 - factor, selected_on=frozenset(selected_on))


def clamps(latents: Iterable[int], value: float) -> dict[int, float]:
    """Return ``{latent: value}``; a latent that is named twice is an error."""
    listed = list(latents)
    if twice := sorted({latent for latent in listed if listed.count(latent) > 1}):
        raise InputError(f"Latent {twice[0]} is clamped twice.")
    return dict.fromkeys(listed, float(value))


def steering_edits(
    sae: SparseAutoencoder,
    site: Site,
    latents: Sequence[int] = (),
    boosts: Sequence[float] = (),
    condition: Condition | None = None,
    *,
    read: Literal["before", "after"] = "before",
    positions: Positions = "default",
) -> EditsBySite:
    """Return the edits of a batch: one boosted latent a row, and the condition's clamps in all.

    Parameters
    ----------
    sae, site
        Whose latents, and where.
    latents, boosts
        ``(rows,)``; a boost of 0 in every row adds nothing at all.
    condition
        What is clamped.
    read
        Whether clamped latents are read before or after the boost.
    positions
        Which tokens, prompt and answer; by default those that the dictionary may be read at.
    """
    if read not in ("before", "after"):
        raise InputError(f"read is 'before' or 'after', got {read!r}.")
    condition = condition or Condition()
    if shared := sorted(set(latents) & set(condition.clamp)):
        raise InputError(
            f"Latent {shared[0]} is to be boosted and clamped at once: leave it out of one of them."
        )
    for latent in {*latents, *condition.clamp}:
        sae.direction(latent)
    if isinstance(positions, str) and positions == "default":
        positions = sae.positions if sae.skip else "all"
    chain: list[Edit] = []
    if condition.clamp:
        strength = condition.strength
        chain.append(
            Latents(sae.dictionary, clamp=condition.clamp, strength=strength, positions=positions)
        )
    if any(boost != 0 for boost in boosts):
        boosted = Boosts(sae.dictionary, latents, boosts, positions=positions)
        chain.insert(len(chain) if read == "before" else 0, boosted)
    return {site: chain} if chain else {}


def steering_site(
    language_model: LanguageModel,
    sae: SparseAutoencoder,
    site: Site | None = None,
    *,
    allow_site_mismatch: bool = False,
) -> Site:
    """Return where to steer, having checked that dictionary and model belong together.

    Parameters
    ----------
    language_model, sae
        What is to be steered with what.
    site
        Where; None is where the dictionary was trained.
    allow_site_mismatch
        Steer at another site than that of the training, as the paper does with Llama-3.3-70B (an
        autoencoder of layer 50 at layer 33): a warning remains.
    """
    model: Any = language_model.model
    own = sae.site_in(model) if sae.place is not None else None
    site = site or sae.site_in(model)
    site.module(model)
    width = getattr(model.config.get_text_config(), "hidden_size", sae.width)
    if width != sae.width:
        raise InputError(
            f"The sparse autoencoder has {sae.width} features and {language_model.name} has {width}: "
            "they do not belong together."
        )
    if sae.model is not None and _short(sae.model) != _short(language_model.name):
        warnings.warn(
            f"The sparse autoencoder was trained on {sae.model}, and this is {language_model.name}.",
            stacklevel=3,
        )
    if own is not None and site != own:
        words = f"The sparse autoencoder was trained at {own}, and is to steer at {site}"
        if not allow_site_mismatch:
            raise InputError(f"{words}: pass allow_site_mismatch=True if that is meant.")
        warnings.warn(f"{words}: its latents are read where they were not trained.", stacklevel=3)
    return site


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()
