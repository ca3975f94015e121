"""Search the layer, and the pair of layers, that changes behaviour most within a quality cap.

The paper (arXiv:2603.04355) edits one or two layers at about half the depth; how it picks them is
not said. Here every single block between 20 and 80 % of the depth is tried, then every pair that
holds the best one, the second fitted with the first in force. The best has the largest gain among
those whose perplexity on neutral texts stays under the cap; ties, which are gains that agree to a
percent of the way, go to the smaller move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from axonal.activations import Positions
from axonal.errors import InputError
from axonal.language.steering.collecting import collect
from axonal.language.steering.evaluation import DEGENERATE, Effect, Evaluation
from axonal.language.steering.fitting import estimator_of, fit, sites_of
from axonal.language.steering.prompts import Prompt, Prompts
from axonal.language.steering.readouts import Readout
from axonal.language.steering.steering_map import SteeringMap
from axonal.language.steering.sweeping import default_layers, split
from axonal.transport import AffineTransport

if TYPE_CHECKING:
    import pandas as pd

    from axonal.language.models import LanguageModel


@dataclass(frozen=True)
class Candidate:
    """One choice of layers.

    Parameters
    ----------
    layers
        Blocks.
    steering
        The map fitted there.
    effect
        What it does to held-out prompts and neutral texts.
    move
        Root mean square of how far it moves the held-out source, added over layers.
    variety
        Share of different tokens in what the steered model writes; None if not looked at.
    """

    layers: tuple[int, ...]
    steering: SteeringMap
    effect: Effect
    move: float
    variety: float | None = None

    @property
    def degenerate(self) -> bool:
        """Whether the steered model repeats itself."""
        return self.variety is not None and self.variety < DEGENERATE


@dataclass(frozen=True)
class Search:
    """What a search found.

    Parameters
    ----------
    candidates
        Everything that was tried, best first.
    cap
        The perplexity ratio that a candidate may reach.
    """

    candidates: tuple[Candidate, ...]
    cap: float

    @property
    def best(self) -> Candidate:
        """The best candidate under the cap; an ``InputError`` if there is none."""
        for one in self.candidates:
            if self.admits(one):
                return one
        mildest = min(self.candidates, key=lambda c: c.effect.damage.perplexity_ratio)
        raise InputError(
            f"None of {len(self.candidates)} choices of layers keeps the perplexity ratio under "
            f"{self.cap:g} and its text sound; the mildest is {mildest.layers} with "
            f"{mildest.effect.damage.perplexity_ratio:.3g}: lower the strength or raise the cap."
        )

    def admits(self, one: Candidate) -> bool:
        """Whether a candidate stays under the cap and writes sound text."""
        return one.effect.damage.perplexity_ratio <= self.cap and not one.degenerate

    def table(self) -> pd.DataFrame:
        """Return the candidates as a table, best first."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "layers": " + ".join(map(str, one.layers)),
                    "gain": one.effect.gain,
                    "behaviour": one.effect.behaviour.mean(),
                    "perplexity_ratio": one.effect.damage.perplexity_ratio,
                    "kl": one.effect.damage.kl,
                    "move": one.move,
                    "variety": one.variety,
                    "admitted": self.admits(one),
                }
                for one in self.candidates
            ]
        )


def search(
    language_model: LanguageModel,
    source: Prompts | Sequence[Prompt],
    target: Prompts | Sequence[Prompt],
    readout: Readout,
    *,
    map: AffineTransport[Any] | str = "Gaussian, subspace",
    layers: Sequence[int] | None = None,
    band: tuple[float, float] = (0.2, 0.8),
    pairs: bool = True,
    cap: float = 1.1,
    validation: tuple[Any, Any] | None = None,
    positions: Positions = "last",
    apply: Positions = "after_instruction",
    texts: Sequence[str] | None = None,
    write: int = 4,
    batch_size: int = 8,
    new_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Search:
    """Try single layers, then pairs that hold the best one.

    Parameters
    ----------
    language_model, source, target, readout, validation, positions, apply, texts, batch_size, new_tokens
        See :func:`sweep`.
    map
        An estimator, or the name of one of :func:`axonal.transport.family`.
    layers
        Blocks to try; all in ``band`` by default.
    band
        Shares of the depth.
    pairs
        Whether pairs are tried.
    cap
        The perplexity ratio on neutral texts that is allowed.
    write
        On how many prompts the best candidates write, to see that their text is sound; 0 for none.
    progress
        Told how many candidates of all are done.
    """
    estimator = estimator_of(map)
    blocks = (
        default_layers(language_model, band=band, count=None) if layers is None else list(layers)
    )
    fitted, judged = split(source, target, validation)
    sites = sites_of(language_model, blocks)
    evaluation = Evaluation(
        language_model, *judged, readout, sites, texts=texts, batch_size=batch_size
    )
    total = len(blocks) + (len(blocks) - 1) * pairs
    done = 0

    def attempt(chosen: tuple[int, ...]) -> Candidate:
        nonlocal done
        steering = fit(
            language_model,
            *fitted,
            chosen,
            map=estimator,
            positions=positions,
            apply=apply,
            batch_size=batch_size,
            new_tokens=new_tokens,
        )
        effect = evaluation.effect(steering)
        rows = collect(
            language_model,
            judged[0],
            steering.sites,
            positions,
            batch_size=batch_size,
            new_tokens=new_tokens,
        )
        move = 0.0
        for site, one in steering.maps.items():
            x = rows[site].double()
            step = one.apply(x, steering.strength) - x
            move += float(step.square().sum(dim=1).mean().sqrt())
        done += 1
        if progress is not None:
            progress(done, total)
        return Candidate(chosen, steering, effect, move)

    def ranked(candidates: Sequence[Candidate]) -> Search:
        order = sorted(candidates, key=lambda c: (-round(c.effect.gain, 2), c.move))
        return Search(tuple(_looked_at(order, evaluation, cap, write)), cap)

    singles = ranked([attempt((block,)) for block in blocks])
    if not pairs or len(blocks) < 2:
        return singles
    admitted = [one for one in singles.candidates if singles.admits(one)]
    (first,) = (admitted or singles.candidates)[0].layers
    others = [block for block in blocks if block != first]
    both = [attempt((min(first, b), max(first, b))) for b in others]
    return ranked([*singles.candidates, *both])


def _looked_at(
    order: Sequence[Candidate], evaluation: Evaluation, cap: float, write: int
) -> Iterator[Candidate]:
    """Let the best ones write, until one writes sound text."""
    sound = write == 0
    for one in order:
        if sound or one.effect.damage.perplexity_ratio > cap:
            yield one
            continue
        variety = one.variety
        if variety is None:
            variety = evaluation.variety(one.steering, prompts=write)
        seen = Candidate(one.layers, one.steering, one.effect, one.move, variety)
        sound = not seen.degenerate
        yield seen
