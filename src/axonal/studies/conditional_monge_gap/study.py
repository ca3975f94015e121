"""The conditional Monge gap: one optimal-transport map for every treatment of a screen.

Driessen, Harsanyi, Rapsomaniki, Born, "Towards generalizable single-cell perturbation modeling via
the Conditional Monge Gap", arXiv 2504.08328. Real yeast cells at 21 doses test unseen doses;
simulated cells under real molecules test unseen drugs; a screen of the user's is the full scale.
"""

from __future__ import annotations

from datetime import date

from axonal.lab import All, Claim, Equals, Greater, Less, Paper, Session, Study, Within
from axonal.studies.conditional_monge_gap.config import Config

study = Study(
    slug="conditional-monge-gap",
    paper=Paper(
        title="Towards generalizable single-cell perturbation modeling via the Conditional Monge Gap",
        arxiv="2504.08328",
        published=date(2025, 4, 11),
        authors=(
            "Alice Driessen",
            "Benedek Harsanyi",
            "Marianna Rapsomaniki",
            "Jannis Born",
        ),
        code="https://github.com/AI4SCR/conditional-monge",
    ),
    area="cells",
    config=Config,
    presets={
        "smoke": {
            "repeats": 2,
            "steps": 6,
            "batch_size": 32,
            "conditions_per_step": 2,
            "specific_steps": 4,
            "molecules": 2,
            "cells": 80,
            "genes": 12,
            "components": 8,
            "effect_cells": 16,
            "combinations": 4,
            "scaling": (1, 2),
            "scaling_repeats": 2,
            "epsilons": (1.0,),
            "metric_batches": 1,
            "metric_cells": 40,
        },
        "full": {
            "repeats": 5,
            "steps": 10_000,
            "batch_size": 512,
            "conditions_per_step": 1,
            "learning_rate": 1e-4,
            "epsilon_fit": 1.0,
            "epsilon_gap": 0.01,
            "specific_steps": 5000,
            "cells": 2000,
            "effect_cells": 512,
            "scaling": (2, 4, 8, 16, 32),
            "scaling_repeats": 5,
            "metric_batches": 11,
            "metric_cells": 512,
            "screen_folds": 21,
        },
    },
    claims=[
        Claim(
            "in-distribution",
            "One conditional map predicts unseen cells of trained treatments as well as a map of "
            "each treatment's own does: R² within 0.05, Wasserstein distance larger by less than 0.1",
            reported="R² 0.88 to 0.97 against 0.95 to 0.98",
            source="abstract, table 1",
            test=All(
                Equals("r2_id_descriptors", "r2_id_specific", tolerance=0.05),
                Less("wasserstein_id_descriptors", "wasserstein_id_specific", by=-0.1),
            ),
        ),
        Claim(
            "unseen-doses",
            "Doses between trained ones are predicted: real cells are far nearer than untreated ones",
            reported="generalises to unseen doses",
            source="abstract",
            test=Less("yeast_interpolated_map", "yeast_interpolated_identity"),
        ),
        Claim(
            "unseen-drugs",
            "Drugs that were never measured are predicted from their molecules: nearer than untreated "
            "cells are, in Wasserstein distance and MMD",
            reported="remarkable generalisation to unseen drugs",
            source="abstract",
            test=All(
                Less("wasserstein_ood_descriptors", "wasserstein_ood_identity"),
                Less("mmd_ood_descriptors", "mmd_ood_identity"),
            ),
        ),
        Claim(
            "heterogeneity",
            "On unseen drugs whole populations are met better than by a model of means: smaller MMD "
            "and Wasserstein distance",
            reported="MMD 0.018 to 0.020 against 0.186 to 0.195 (chemCPA); Wasserstein 4.2 against "
            "4.7 to 5.0",
            source="tables A6, A7",
            test=All(
                Less("mmd_ood_descriptors", "mmd_ood_means"),
                Less("wasserstein_ood_descriptors", "wasserstein_ood_means"),
            ),
        ),
        Claim(
            "means",
            "On means alone the two are level: R² within 0.05",
            reported="R² 0.78 to 0.82 against 0.76 to 0.84 (chemCPA)",
            source="tables A6, A7",
            test=Equals("r2_ood_descriptors", "r2_ood_means", tolerance=0.05),
        ),
        Claim(
            "effect-vectors",
            "Given vectors of effects instead of molecules, unseen drugs are predicted better, in R² "
            "and MMD",
            reported="R² 0.90 to 0.93 against 0.78 to 0.82; MMD 0.012 to 0.014 against 0.018 to 0.020",
            source="tables A6, A7",
            test=All(
                Greater("r2_ood_effects", "r2_ood_descriptors"),
                Less("mmd_ood_effects", "mmd_ood_descriptors"),
            ),
        ),
        Claim(
            "scaling",
            "More training drugs narrow the gap in R² between vectors of effects and of molecules",
            reported="narrows from tens to hundreds of conditions",
            source="abstract, figure 5",
            test=Less("embedding_gap_most_drugs", "embedding_gap_fewest_drugs"),
        ),
        Claim(
            "combinations",
            "Combinations of two drugs that were not measured together are predicted better than by "
            "untreated cells, in MMD",
            reported="better than identity (4i)",
            source="figure 4",
            test=Less("mmd_combinations_map", "mmd_combinations_identity"),
        ),
        Claim(
            "parameters",
            "The published map has 32 204 parameters, and one for 712 conditions fewer than half of "
            "chemCPA's 1 374 742",
            reported="32 204 in the code's configuration; 600 K against 1 374 742",
            source="journal version, notebooks",
            test=All(
                Equals("parameters_published", 32_204, tolerance=0.5),
                Less("parameters_large", 1_374_742 / 2),
            ),
        ),
        Claim(
            "sciplex-populations",
            "On sciplex3's held-out drugs, described by molecules, MMD stays below 0.03",
            reported="0.0175 to 0.0197 by dose",
            source="table A6",
            test=Within("screen_mmd_descriptors", 0, 0.03),
            needs="full",
        ),
        Claim(
            "sciplex-means",
            "On sciplex3's held-out drugs, described by molecules, R² lies between 0.7 and 0.9",
            reported="0.78 to 0.82 by dose",
            source="table A6",
            test=Within("screen_r2_descriptors", 0.7, 0.9),
            needs="full",
        ),
    ],
    scale=lambda config: (
        f"{len(config.training_doses)} of 21 doses of real yeast cells; {config.repeats} simulated "
        f"screens of {5 * config.molecules} real molecules, {config.steps} steps of "
        f"{config.conditions_per_step} x {config.batch_size} cells"
        + (f"; {config.screen}" if config.screen else "")
    ),
    minutes={"smoke": 0.4, "laptop": 5},
    requires=("yeast-dose-response", "serotonin-ligands"),
    data="Yeast cytometry from the source distribution of cytoflow 1.2 (GPL-2.0-or-later, fetched when "
    "the study runs; wells C10-C12 are undocumented and serve as control, their fluorescence is that "
    "of no inducer). Molecules from RDKit's wheel (BSD-3-Clause) and wdl-rf (MIT); their cells are "
    "simulated: molecules of one target are assumed to act alike up to noise.",
    example="""
    from axonal import assets
    from axonal.cells.perturbation import ConditionalMongeMap, perturbation_metrics, read_yeast

    adata = read_yeast(assets.path("yeast-dose-response"))
    model = ConditionalMongeMap(steps=100, batch_size=96, learning_rate=2e-3, epsilon_fit=0.5)
    model.fit(adata, dose_key="dose")
    control = adata[adata.obs.dose == 0]
    predicted = model.predict(control, "isopentenyladenine", dose=0.3)
    measured = adata[adata.obs.dose == 0.2816]
    print(perturbation_metrics(measured.X, predicted.X, batches=2))
    """,
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure; the lab judges."""
    from axonal import assets
    from axonal.errors import InputError
    from axonal.studies.conditional_monge_gap import drugs, figures, scaling, summary, user, yeast

    if config.layout not in ("sciplex", "4i"):
        raise InputError(f"layout: expected sciplex or 4i, got {config.layout!r}.")
    cells = yeast.read(str(assets.pull("yeast-dose-response")))
    ligands = str(assets.pull("serotonin-ligands"))
    doses = [
        session.stage(f"yeast_{i}", lambda i=i: yeast.measure(cells, config, session, i))
        for i in range(config.repeats)
    ]
    screens = [
        session.stage(f"drugs_{i}", lambda i=i: drugs.measure(ligands, config, session, i))
        for i in range(config.repeats)
    ]
    sizes = [
        session.stage(f"scaling_{i}", lambda i=i: scaling.measure(ligands, config, session, i))
        for i in range(config.scaling_repeats if config.scaling else 0)
    ]
    own = [
        session.stage(f"screen_{i}", lambda i=i: user.measure(config, session, i))
        for i in range(config.screen_folds if config.screen else 0)
    ]
    summary.record(session, doses, screens, sizes, own)
    figures.draw(session, doses, screens, sizes)
    summary.notes(session, config, doses, screens)
