"""From the stages of a run to its measurements and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from axonal.statistics import wilson_interval

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.gaussian_transport_steering.study import Config

SHARE = (0.0, 1.0)


def record(
    session: Session,
    laws: xr.Dataset,
    toys: Sequence[xr.Dataset],
    organism: Sequence[xr.Dataset],
    sentiment: Sequence[xr.Dataset],
) -> None:
    """Record every measurement that the claims and the report name."""
    _known_laws(session, laws)
    _changes(session, "", organism)
    _changes(session, "toy_", toys)
    session.measure("toy_accuracy", [float(t["accuracy"]) for t in toys], bounds=SHARE)
    _damage(session, organism)
    _reverse(session, organism)
    session.measure("fit_seconds", [float(o["fit_once_seconds"]) for o in organism], "s")
    session.measure("edit_time_share", [float(o["edit_time_share"]) for o in organism])
    for place in ("untouched", "middle", "late", "chosen"):
        values = [float(o["distinct"].sel(place=place)) for o in organism]
        session.measure(f"distinct_{place}", values, bounds=SHARE)
    session.measure(
        "written_declines",
        [float(o["opening"].sel(place="chosen")) for o in organism],
        bounds=SHARE,
    )
    depths = {
        "organism": [_depth(o) for o in organism],
        "toys": [_depth(t) for t in toys],
        "sentiment": [float(s["best_depth"]) for s in sentiment],
    }
    for name, values in depths.items():
        session.measure(f"best_depth_{name}", values, bounds=SHARE)
    rows = list(zip(*depths.values(), strict=False))
    session.measure("depth_spread", [max(row) - min(row) for row in rows], bounds=SHARE)


def _known_laws(session: Session, laws: xr.Dataset) -> None:
    slopes = np.polyfit(np.log(laws["rows"]), np.log(laws["map_error"].to_numpy()).T, 1)[0]
    session.measure("exact_slope", slopes)
    session.measure(
        "exact_map_error",
        laws["map_error"].to_numpy(),
        along=laws["rows"].to_numpy(),
        along_name="rows",
    )
    session.measure(
        "clusters_left",
        laws["shape_left"].to_numpy(),
        along=laws["separation"].to_numpy(),
        along_name="distance of two clusters in spreads",
    )


def _changes(session: Session, prefix: str, found: Sequence[xr.Dataset]) -> None:
    """How much of the behaviour each contestant changes, on test prompts."""

    def measure(name: str, values: Sequence[float]) -> None:
        session.measure(f"{prefix}{name}", values, bounds=SHARE)

    before = [float(f["rate_before"].sel(group="source")) for f in found]
    measure("rate_before", before)
    for short, contest in {
        "transport": "transport",
        "few": "few components",
        "many": "many components",
        "mean_shift": "mean shift",
    }.items():
        won = [f.sel(contest=contest, group="source") for f in found]
        measure(f"change_{short}", [float(w["won_changed"]) for w in won])
        measure(f"rate_{short}", [float(w["won_rate"]) for w in won])
        session.measure(f"{prefix}odds_{short}", [float(w["won_odds"]) for w in won], "nats")
    baseline = [best_baseline(f) for f in found]
    measure("change_baseline", [float(b["changed"]) for b in baseline])
    measure("rate_baseline", [float(b["rate"]) for b in baseline])
    session.measure(f"{prefix}odds_baseline", [float(b["odds"]) for b in baseline], "nats")
    measure("change_one_or_two", [_one_or_two(f) for f in found])
    everywhere = [_everywhere(f).sel(group="source") for f in found]
    measure("change_everywhere", [float(e["all_changed"]) for e in everywhere])
    measure("change_everywhere_alone", [_alone(f, "all_changed") for f in found])
    depths = found[0]["depth"].to_numpy()
    session.measure(
        f"{prefix}change_by_depth",
        np.stack([by_depth(f, "changed") for f in found]),
        along=depths,
        along_name="depth",
        bounds=SHARE,
    )
    if "look_alikes" in found[0]["group"]:
        alike = [f.sel(group="look_alikes") for f in found]
        measure("look_alikes_before", [float(a["rate_before"]) for a in alike])
        after = [float(a["won_rate"].sel(contest="transport")) for a in alike]
        measure("look_alikes_after", after)


def _damage(session: Session, organism: Sequence[xr.Dataset]) -> None:
    won = [o.sel(contest="transport") for o in organism]
    baseline = [best_baseline(o) for o in organism]
    for name in ("perplexity", "neutral_kl"):
        unit = "" if name == "perplexity" else "nats"
        session.measure(f"{name}_transport", [float(w[f"won_{name}"]) for w in won], unit)
        session.measure(f"{name}_baseline", [float(b[name]) for b in baseline], unit)
    for contest in ("transport", "baseline"):
        values = [float(o["won_perplexity_last"].sel(contest=contest)) for o in organism]
        session.measure(f"perplexity_last_token_{contest}", values)
    every = [float(_everywhere(o)["all_perplexity"]) for o in organism]
    session.measure("perplexity_everywhere", every)
    alone = [_alone(o, "all_perplexity") for o in organism]
    session.measure("perplexity_everywhere_alone", alone)
    many = [o["contest"].to_numpy().tolist().index("many components") for o in organism]
    left = [_left(o, str(o["won_map"].to_numpy()[i])) for o, i in zip(organism, many, strict=True)]
    session.measure("distance_left_gaussian", left)
    session.measure("distance_left_mean", [_left(o, "mean shift") for o in organism])
    session.measure(
        "covariance_share", [float(o["covariance_share"]) for o in organism], bounds=SHARE
    )


def _reverse(session: Session, organism: Sequence[xr.Dataset]) -> None:
    session.measure(
        "undone_odds_gap", max(float(o["undone_odds_gap"]) for o in organism), "nats", exact=True
    )
    source = [o.sel(group="source") for o in organism]
    session.measure("rate_restored", [float(s["restored_rate"]) for s in source], bounds=SHARE)
    for group, name in {"target": "answered", "look_alikes": "look_alikes"}.items():
        if group in organism[0]["group"]:
            values = [float(o["provoked_rate"].sel(group=group)) for o in organism]
            session.measure(f"rate_provoked_{name}", values, bounds=SHARE)
    if "weak_rate" in organism[0]:
        for name in ("weak", "raised"):
            values = [float(o[f"{name}_rate"]) for o in organism]
            session.measure(f"rate_{name}", values, bounds=SHARE)
    for map in organism[0]["monitored"].to_numpy().tolist():
        for against in organism[0]["against"].to_numpy().tolist():
            values = [float(o["area"].sel(monitored=map, against=against)) for o in organism]
            name = f"monitor_{map}_{against}".replace(", ", "_").replace(" ", "_")
            session.measure(name, values, "AUC", bounds=SHARE)


def best_baseline(found: xr.Dataset) -> dict[str, float | str]:
    """Return what the better baseline does: the best at one block, or ablation of every write."""
    won = found.sel(contest="baseline")
    wide = found.sel(wide="ablation of every write")
    one = {
        "name": str(won["won_map"].item()),
        **{n: float(won[f"won_{n}"].sel(group="source")) for n in ("changed", "rate", "odds")},
        **{n: float(won[f"won_{n}"]) for n in ("perplexity", "neutral_kl")},
    }
    every = {
        "name": "ablation of every write",
        **{n: float(wide[f"all_{n}"].sel(group="source")) for n in ("changed", "rate", "odds")},
        **{n: float(wide[f"all_{n}"]) for n in ("perplexity", "neutral_kl")},
    }
    at = {"group": "validation"}
    wins = float(wide["all_changed"].sel(at)) > float(won["won_changed"].sel(at))
    return every if wins else one


def by_depth(found: xr.Dataset, name: str, group: str = "source") -> np.ndarray:
    """Return a quantity of the transport map with the best validation score, by block."""
    best = str(found["won_map"].sel(contest="transport").item())
    return found[name].sel({"map": best, "group": group}).to_numpy()


def _one_or_two(found: xr.Dataset) -> float:
    """Return what the best block, or the best pair, changes: whichever validation prefers."""
    single = found["won_changed"].sel(contest="transport")
    pair = found["pair_changed"].sel(second=int(found["pair_best"]))
    better = float(pair.sel(group="validation")) > float(single.sel(group="validation"))
    return float((pair if better else single).sel(group="source"))


def _everywhere(found: xr.Dataset) -> xr.Dataset:
    """Return Gaussian transport at every block, in sequence: the basis that validation prefers."""
    names = [n for n in found["wide"].to_numpy().tolist() if n in ("Gaussian 2", "pooled 2")]
    changed = found["all_changed"].sel(group="validation")
    return found.sel(wide=max(names, key=lambda name: float(changed.sel(wide=name))))


def _alone(found: xr.Dataset, name: str) -> float:
    """Return a quantity of maps at every block that were fitted each by itself."""
    (wide,) = (n for n in found["wide"].to_numpy().tolist() if n.endswith(", each by itself"))
    of = found[name].sel(wide=wide)
    return float(of.sel(group="source") if "group" in of.dims else of)


def _left(found: xr.Dataset, name: str) -> float:
    """Return the share of the distance that a map leaves, at the block of the transport map."""
    at = found.sel({"map": name, "block": int(found["won_block"].sel(contest="transport"))})
    return float(at["distance_after"] / at["distance_before"])


def _depth(found: xr.Dataset) -> float:
    return float(found["won_depth"].sel(contest="transport"))


def notes(
    session: Session, config: Config, toys: Sequence[xr.Dataset], organism: Sequence[xr.Dataset]
) -> None:
    """Say what a reader must know to read the numbers."""
    n = config.test_prompts * len(organism)
    for words, contest in (("before", None), ("after transport", "transport")):
        for group in ("source", "look_alikes"):
            if group not in organism[0]["group"]:
                continue
            rates = [
                float(
                    (
                        o["rate_before"] if contest is None else o["won_rate"].sel(contest=contest)
                    ).sel(group=group)
                )
                for o in organism
            ]
            size = min(n, round(n))
            count = round(float(np.mean(rates)) * size)
            kind = "prompts with the behaviour" if group == "source" else "look-alikes"
            interval = wilson_interval(count, size)
            session.note(
                f"{kind}, {words}: {count} of {size} show it "
                f"({interval.value:.2f}, Wilson {interval.low:.2f} to {interval.high:.2f})."
            )
    maps = [str(o["won_map"].sel(contest="transport").item()) for o in organism]
    depths = [_depth(o) for o in organism]
    baselines = [str(best_baseline(o)["name"]) for o in organism]
    session.note(
        f"Chosen on validation prompts: {', '.join(maps)} at depths "
        f"{', '.join(f'{d:.2f}' for d in depths)}; the best baselines: {', '.join(baselines)}."
    )
    session.note(
        "A prompt's behaviour has changed where it no longer shows and the first token is one of "
        "the ten likeliest of the model without the behaviour; on the toys, any answer."
    )
    session.note(
        "Maps are fitted on the last token of a prompt and move it and what is written; sweeps "
        "read the first token's odds, and texts are written for a few prompts only."
    )
    accuracy = float(np.mean([float(t["accuracy"]) for t in toys]))
    session.note(f"The toys answer {100 * accuracy:.0f} % of held-out prompts rightly.")
    session.note(
        "The paper's models have 7B to 32B parameters and its behaviour is refusal; this organism "
        "declines one harmless topic."
    )
