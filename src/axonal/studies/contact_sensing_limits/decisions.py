"""The second half of the study: is there a neighbour at all?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from axonal.cells.contact import known_position_auc
from axonal.studies.contact_sensing_limits import figures
from axonal.studies.contact_sensing_limits.published import curve, nearest_values
from axonal.studies.contact_sensing_limits.simulated import (
    batch_areas,
    likelihood_ratios,
    ratios_present,
    scene,
    setup,
)

if TYPE_CHECKING:
    from axonal.lab import Session
    from axonal.studies.contact_sensing_limits.config import Config


def by_width(config: Config, session: Session) -> None:
    """False negatives and error areas against the half-width (figures 4a, 5a, 5d)."""
    widths = np.array(config.detection_widths)
    # The paper's main curve gets twice the records.
    ratios = _sweep(
        config,
        session,
        "decisions_by_width",
        {"sigma": config.detection_widths},
        trials=2 * config.decisions,
        alpha=1.0,
    )
    others = tuple(alpha for alpha in config.curves if alpha != 1)
    over = {"alpha": others, "sigma": config.detection_widths}
    unlike = _sweep(config, session, "decisions_by_width_unlike", over)
    along = {"along": widths, "along_name": "half-width (µm)"}
    missed = (ratios.present < config.threshold).mean("trial").values.T
    session.measure("fnr_alike", missed, **along)
    published = nearest_values(*curve("fnr", "fnr", "sigma", alpha=1.0), at=widths)
    session.measure("fnr_alike_published", published, exact=True, **along)
    session.measure("detected_alike", 1 - missed, **along)
    half = (unlike.present.sel(alpha=0.5) < config.threshold).mean("trial").values.T
    beyond = {"along": widths[1:], "along_name": "half-width (µm)"}
    session.measure("fnr_unlike_beyond_narrow", half[:, 1:], **beyond)
    areas = batch_areas(ratios.present, ratios.absent).T
    session.measure("auc_alike", areas, **along)
    session.measure("roc_area_alike", 1 - areas, **along)
    false_alarms = (ratios.absent >= config.threshold).mean(("sigma", "trial"))
    session.measure("false_positive_rate", false_alarms)
    grid = np.linspace(widths[0], widths[-1], 50)
    known = [known_position_auc(*scene(setup(config), 1.0, 0.1, s), duration=1.0) for s in grid]
    along = {"along": grid, "along_name": "half-width (µm)"}
    session.measure("auc_alike_known_position", known, exact=True, **along)
    session.figure(
        "false_negatives",
        figures.draw_false_negatives(
            {1.0: ratios} | {alpha: unlike.sel(alpha=alpha) for alpha in others}, config.threshold
        ),
        caption="How often a contact is missed at lambda_c = 7 (T = 1 s, chi = 0.1), with 95 % Wilson "
        "intervals, on the paper's curves.",
        alt="False-negative rate against half-width is U-shaped for alike ligands",
    )
    session.figure(
        "error_area",
        figures.draw_areas("sigma", ratios, known=(grid, np.array(known))),
        caption="Area under the trade-off of false negatives against false positives (alpha = 1, "
        "T = 1 s), with 95 % intervals. An empty sample of errors leaves only an upper end. Dashed: "
        "for one who knows where the contact would be.",
        alt="The error area is smallest at intermediate half-widths",
    )
    shown = [sigma for sigma in config.detection_widths if 2 < sigma < 12 or sigma in (1.0, 47.42)]
    session.figure(
        "trade_off",
        figures.draw_trade_off(ratios, shown),
        caption="False positives against false negatives over all thresholds (alpha = 1, T = 1 s); "
        "dashed, the paper's curves at its half-widths.",
        alt="Detection-error trade-off curves for several half-widths",
    )
    session.figure(
        "likelihood_ratios",
        figures.draw_ratios(ratios, config.threshold),
        caption="Likelihood ratios with and without a contact (alpha = 1). The law without one is "
        "not Wilks's: it depends on the half-width, since a narrow contact has more places to be.",
        alt="Histograms of the likelihood ratio with and without a contact",
    )


def false_negative_map(config: Config, session: Session) -> None:
    """False negatives over alpha and chi at a half-width of 1 µm (figure 4b)."""
    over = {"alpha": config.map_alphas, "chi": config.map_fractions}
    swept = session.sweep(
        "false_negative_map",
        ratios_present,
        over=over,
        fixed={
            "sigma": 1.0,
            "duration": 1.0,
            "shared": setup(config),
            "trials": config.decisions,
        },
        repeats=config.batches,
        on_error="raise",
        dims={"value": ("trial",)},
    )
    missed = (swept.value < config.threshold).mean("trial").transpose("repeat", "chi", "alpha")
    published = _published_map(config)
    session.measure("fnr_map_mean", missed.mean(("chi", "alpha")))
    session.measure("fnr_map_mean_published", float(published.mean()), exact=True)
    low = missed.sel(chi=0.0611, method="nearest")
    session.measure("fnr_map_alike", low.isel(alpha=-1))
    session.measure("fnr_map_unlike", low.isel(alpha=0))
    session.figure(
        "false_negative_map",
        figures.draw_map(missed.mean("repeat"), published),
        caption="How often a contact of 1 µm half-width is missed, ours in colour and as the upper "
        "number, the paper's array as the lower one (T = 1 s, lambda_c = 7).",
        alt="False-negative rate over alpha and chi, ours and the paper's",
    )


def rare_ligand(config: Config, session: Session) -> None:
    """Error areas at chi = 0.01 against alpha (figure 8)."""
    swept = _sweep(
        config, session, "decisions_rare", {"alpha": config.rare_alphas}, sigma=10.0, chi=0.01
    )
    areas = batch_areas(swept.present, swept.absent).T
    session.measure("auc_rare", areas, along=config.rare_alphas, along_name="alpha")
    place = int(np.argmin(np.abs(np.array(config.rare_alphas) - 0.25)))
    session.measure("auc_rare_unlike", areas[:, place])
    session.figure(
        "error_area_rare",
        figures.draw_areas("alpha", swept),
        caption="Error area when one correct ligand in a hundred binds (chi = 0.01, half-width 10 µm, "
        "T = 1 s).",
        alt="The error area rises from 0 to 0.4 between alpha 0.25 and 0.6",
    )


def by_time(config: Config, session: Session) -> None:
    """Error areas against the measuring time (figure 5f)."""
    swept = _sweep(
        config,
        session,
        "decisions_by_time",
        {"duration": config.detection_times},
        trials=2 * config.decisions,
        sigma=10.0,
        alpha=1.0,
    )
    areas = batch_areas(swept.present, swept.absent).T
    session.measure("auc_by_duration", areas, along=config.detection_times, along_name="T (s)")
    published = nearest_values(*curve("auc", "auc_det", "T"), at=np.array(config.detection_times))
    session.measure(
        "auc_by_duration_published",
        published,
        along=config.detection_times,
        along_name="T (s)",
        exact=True,
    )


def micron_contact(config: Config, session: Session) -> None:
    """A contact of 1 µm half-width among ten times as much spurious ligand."""
    times = (1.0, 10.0, 60.0)
    over = {"duration": times}
    alike = _sweep(config, session, "decisions_micron", over, sigma=1.0, chi=1 / 11, alpha=1.0)
    for areas, time in zip(batch_areas(alike.present, alike.absent), times, strict=True):
        session.measure(f"auc_micron_{time:g}s", areas)
    over = {"duration": times[:2]}
    unlike = _sweep(
        config, session, "decisions_micron_unlike", over, sigma=1.0, chi=1 / 11, alpha=0.5
    )
    for areas, time in zip(batch_areas(unlike.present, unlike.absent), times[:2], strict=True):
        session.measure(f"auc_micron_{time:g}s_unlike", areas)


def _sweep(
    config: Config,
    session: Session,
    name: str,
    over: dict[str, tuple[float, ...]],
    trials: int | None = None,
    **fixed: float,
) -> xr.Dataset:
    """Sweep likelihood ratios; chi = 0.1 and T = 1 s unless said otherwise."""
    defaults = {"chi": 0.1, "duration": 1.0} | fixed
    fixed = {key: value for key, value in defaults.items() if key not in over}
    swept = session.sweep(
        name,
        likelihood_ratios,
        over=over,
        fixed={**fixed, "shared": setup(config), "trials": trials or config.decisions},
        repeats=config.batches,
        on_error="raise",
        dims={"present": ("trial",), "absent": ("trial",)},
    )
    return swept.transpose(*over, "repeat", "trial")


def _published_map(config: Config) -> np.ndarray:
    """Return the paper's map at our points, linearly between its own, ``(chi, alpha)``."""
    fractions = np.linspace(0.01, 0.98, 20).round(4)
    rows = [curve("fnr_map", "fnr", "alpha", chi=float(chi)) for chi in fractions]
    at_alphas = np.array([np.interp(config.map_alphas, *row) for row in rows])  # (20, alpha)
    columns = [np.interp(config.map_fractions, fractions, column) for column in at_alphas.T]
    return np.array(columns).T
