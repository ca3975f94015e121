"""Limits on the accuracy of contact inhibition of locomotion, Wang and Camley 2024.

The bounds are closed forms; the maximum-likelihood estimator and the decision whether there is a
neighbour are simulated with the paper's parameters and its 10,000 receptors, and drawn beside the
paper's own curves.
"""

from __future__ import annotations

from datetime import date

from axonal.lab import (
    All,
    Claim,
    Decreasing,
    Equals,
    Greater,
    Increasing,
    InteriorMaximum,
    Less,
    Paper,
    Session,
    Study,
    Within,
)
from axonal.studies.contact_sensing_limits.config import FULL, SMOKE, Config

study = Study(
    slug="contact-sensing-limits",
    paper=Paper(
        title="Limits on the accuracy of contact inhibition of locomotion",
        arxiv="2311.00085",
        published=date(2023, 10, 31),
        authors=("Wei Wang", "Brian A. Camley"),
        code="https://doi.org/10.5281/zenodo.11094134",
    ),
    area="cells",
    config=Config,
    presets={"smoke": SMOKE, "full": FULL},
    claims=[
        Claim(
            "errors-rise-with-likeness",
            "The errors of all three parameters rise as the two ligands look more alike, in the "
            "bound and in the simulated estimator",
            reported="SD(c_t) 1.59, 4.88, 7.53 /µm² at alpha = 0.03, 0.53, 0.98 (sigma 10 µm, chi 0.1)",
            source="abstract, figure 3a, c, e",
            test=All(
                Increasing("bound_c_t_by_alpha"),
                Increasing("bound_chi_by_alpha"),
                Increasing("bound_x0_by_alpha"),
                Increasing("sd_c_t_by_alpha"),
                Increasing("sd_chi_by_alpha"),
                Increasing("sd_x0_by_alpha"),
            ),
        ),
        Claim(
            "interference-hurts",
            "More spurious ligand raises the errors of concentration and position",
            reported="at alpha = 0.98, SD(c_t) 7.53, 3.93, 1.75 /µm² and SD(x0) 0.383, 0.191, 0.073 µm "
            "for chi = 0.1, 0.2, 0.5",
            source="abstract, figure 3a, e",
            test=All(Increasing("sd_c_t_by_interference"), Increasing("sd_x0_by_interference")),
        ),
        Claim(
            "fraction-error-flips",
            "The error of chi grows with chi where ligands differ and falls with it where they look "
            "alike; the order flips near alpha = 1/2",
            reported="the opposite behaviour on either side of alpha = 1/2",
            source="text, figure 3c",
            test=All(
                Less("sd_chi_rare_unlike", "sd_chi_common_unlike"),
                Greater("sd_chi_rare_alike", "sd_chi_common_alike"),
                Within("alpha_where_order_flips", 0.4, 0.6),
            ),
        ),
        Claim(
            "simulation-reaches-bound",
            "The estimator's errors agree with the Cramér–Rao bound within 20 % for half-widths of "
            "3 µm and more",
            reported="good agreement between simulation and theory, except at 1 to 2 µm",
            source="figure 3",
            test=Equals("sd_over_bound", 1.0, tolerance=0.2),
        ),
        Claim(
            "position-error-independent-of-width",
            "The error of the contact's position is the same for half-widths of 3 to 30 µm",
            reported="SD(x0) about 0.37 µm throughout (alpha = 1)",
            source="abstract, figure 3f",
            test=All(
                Within("bound_x0_largest_over_smallest", 1.0, 1.02),
                Equals("sd_x0_widest", "sd_x0_narrow", relative=0.3),
            ),
        ),
        Claim(
            "width-helps-concentration",
            "The errors of the total concentration fall as the contact widens",
            reported="SD(c_t) from 29 to 4.1 /µm² for half-widths of 1 to 30 µm (alpha = 1)",
            source="figure 3b",
            test=All(Decreasing("bound_c_t_by_width"), Decreasing("sd_c_t_by_width")),
        ),
        Claim(
            "gaussian-position-error-grows",
            "Where the ligand is spread as a Gaussian the position error grows with the width",
            reported="SD(x0) from about 0.37 to 1.25 µm for widths of 1 to 15 µm",
            source="discussion, figure 6f",
            test=All(Increasing("bound_x0_gaussian"), Increasing("sd_x0_gaussian")),
        ),
        Claim(
            "angle-is-precise",
            "The contact's direction is found to about 1.5 degrees (below 2) at any half-width from "
            "1 to 30 µm, in ten seconds, even when ligands look alike",
            reported="SD(x0) about 0.4 µm in the worst case, or 1.5 degrees",
            source="text, figure 3f",
            test=Less("angle_by_width", 2.0),
        ),
        Claim(
            "false-negatives-published-values",
            "False-negative rates at lambda_c = 7 are those of the paper, within 0.1",
            reported="0.980, 0.598, 0.055, 0.001, 0.100, 0.772, 0.995 at half-widths of 1 to 50 µm "
            "(alpha = 1)",
            source="figure 4a",
            test=Equals("fnr_alike", "fnr_alike_published", tolerance=0.1),
        ),
        Claim(
            "missed-when-narrow-or-wide",
            "A contact of ligands that look alike is missed most when it is very narrow or nearly as "
            "wide as the perimeter",
            reported="U-shaped false-negative rate",
            source="abstract, figure 4a",
            test=InteriorMaximum("detected_alike", by=0.5),
        ),
        Claim(
            "width-harmless-when-ligands-differ",
            "With alpha = 1/2 no contact is too wide: false negatives stay below 5 % up to a contact "
            "as wide as the perimeter",
            reported="0.792 at a half-width of 1 µm, 0.014 at 3.58, none above",
            source="figure 4a",
            test=Less("fnr_unlike_beyond_narrow", 0.05),
        ),
        Claim(
            "false-negative-map",
            "Over alpha and chi, false negatives of a 2 µm wide contact are as frequent as in the "
            "paper's map (mean within 0.04), and rise with alpha at small chi",
            reported="a sharp transition from low alpha, high chi to high alpha, low chi",
            source="figure 4b",
            test=All(
                Equals("fnr_map_mean", "fnr_map_mean_published", tolerance=0.04),
                Greater("fnr_map_alike", "fnr_map_unlike", by=0.5),
            ),
        ),
        Claim(
            "optimal-width",
            "Telling a contact from none works best at an intermediate width",
            reported="area under the error trade-off 0.32, 6e-4, 7e-6, 5e-4, 0.44 at half-widths of "
            "1, 10, 25, 40, 50 µm",
            source="abstract, figure 5d",
            test=InteriorMaximum("roc_area_alike", by=0.05),
        ),
        Claim(
            "likeness-hides-contact",
            "The area under the error trade-off grows as ligands look more alike (chi = 0.01)",
            reported="3e-4, 0.057, 0.305, 0.408 at alpha = 0.25, 0.35, 0.5, 1",
            source="figures 5e and 8",
            test=Increasing("auc_rare", tolerance=0.05),
        ),
        Claim(
            "rare-ligand-detected",
            "One correct ligand in a hundred is detected once alpha is at most 0.25",
            reported="area under the error trade-off 3e-4",
            source="text, figure 8",
            test=Less("auc_rare_unlike", 0.01),
        ),
        Claim(
            "time-helps",
            "A longer measurement lowers the area under the error trade-off",
            reported="0.0138, 0.0041, 2e-4 at T = 0.1, 0.46, 1.3 s (sigma 10 µm)",
            source="figure 5c, f",
            test=Decreasing("auc_by_duration"),
        ),
        Claim(
            "micron-contact-reliable",
            "A contact of 1 µm half-width is told from none with an error area below 0.05 among ten "
            "times as many ligands that look alike, in ten seconds",
            reported="reasonably reliable decisions even for micron-scale contacts and ten times more "
            "interfering ligand",
            source="abstract",
            test=Less("auc_micron_10s", 0.05),
        ),
        Claim(
            "micron-contact-reliable-in-one-second",
            "The same holds in the one second of the paper's decision figures",
            reported="reasonably reliable decisions even for micron-scale contacts and ten times more "
            "interfering ligand",
            source="abstract; figure 5a has 0.32 here",
            test=Less("auc_micron_1s", 0.05),
        ),
        Claim(
            "micron-contact-reliable-in-a-minute",
            "The same holds in a minute",
            reported="decisions improve with measuring time; contact inhibition takes tens of minutes",
            source="abstract; text",
            test=Less("auc_micron_60s", 0.05),
        ),
        Claim(
            "micron-contact-reliable-when-ligands-differ",
            "The same holds in ten seconds when the spurious ligand stays half as long",
            reported="reasonably reliable decisions even for micron-scale contacts and ten times more "
            "interfering ligand",
            source="abstract",
            test=Less("auc_micron_10s_unlike", 0.05),
        ),
        Claim(
            "variance-one-over-time",
            "The variance of c_t falls as 1/T only once T is long against the correlation time",
            reported="Var(c_t) 459, 268, 51.8 /µm⁴ at T = 0.1, 1, 10 s against 5764/(10 T)",
            source="figure 7",
            test=All(
                Less("variance_over_long_bound_short", 0.5),
                Equals("variance_over_long_bound_long", 1.0, tolerance=0.3),
            ),
        ),
    ],
    scale=lambda config: (
        f"{round(config.perimeter / config.spacing)} receptors, {config.batches} x {config.trials} "
        f"records for errors, {config.batches} x {config.decisions} with and without a contact for "
        "decisions"
    ),
    minutes={"smoke": 0.2, "laptop": 4.0},
    data="Simulated: independent receptors with two ligands, exponential stays and the paper's "
    "parameters (its table I). The paper's curves are read off the figures of W. Wang's dissertation "
    "(CC BY 4.0); its false-negative map is the author's published array (MIT).",
    example="""\
from axonal.cells.contact import Contact, ContactModel, TwoLigandKinetics, detection_trials, auc_det
import numpy as np

model = ContactModel(kinetics=TwoLigandKinetics(binding=0.01, unbinding=1.0, alpha=0.8))
contact = Contact(total=1000, fraction=0.1, position=50, half_width=10)   # 1/µm², µm
bound = model.cramer_rao(contact, duration=10)
record = model.simulate(contact, duration=10, rng=0)
fit = model.fit(record, half_width=10)
print(fit.contact.position, "±", bound.sd_position, "µm; lambda =", fit.likelihood_ratio)
trials = detection_trials(model, contact, 0.3, 20, np.random.default_rng(0))
print("error area", auc_det(trials.present, trials.absent))
""",
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Bounds and simulated errors, then decisions, each beside the paper's curves."""
    from axonal.lab.figures import style
    from axonal.studies.contact_sensing_limits import decisions, errors

    with style():
        errors.by_likeness(config, session)
        errors.by_width(config, session)
        errors.gaussian(config, session)
        errors.by_time(config, session)
        decisions.by_width(config, session)
        decisions.false_negative_map(config, session)
        decisions.rare_ligand(config, session)
        decisions.by_time(config, session)
        decisions.micron_contact(config, session)
    session.note(
        "Receptors are independent, the contact's half-width and all rates are known to the "
        "estimator, and the perimeter is a line that does not close."
    )
    session.note(
        "The estimator searches the whole perimeter. The paper climbs by Powell's method from a "
        "start it does not state; its error areas lie between ours and those of a climb from the "
        "truth, its false-negative rates agree with ours."
    )
