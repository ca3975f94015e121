"""What has to go right for an induction head to form: clamps all through training.

Singh, Moskovitz, Hill, Chan, Saxe, "What needs to go right for an induction head? A mechanistic study
of in-context learning circuits and their formation", arXiv 2404.07129. A repeat is a seed, which has
its own initial weights and its own data; where one seed's heads are compared, a repeat is a head.
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
    Less,
    Paper,
    Session,
    Study,
    Within,
)
from axonal.studies.induction_head_formation.config import FULL, SMOKE, Config

study = Study(
    slug="induction-head-formation",
    paper=Paper(
        title="What needs to go right for an induction head? A mechanistic study of in-context "
        "learning circuits and their formation",
        arxiv="2404.07129",
        published=date(2024, 4, 10),
        authors=(
            "Aaditya K. Singh",
            "Ted Moskovitz",
            "Felix Hill",
            "Stephanie C. Y. Chan",
            "Andrew M. Saxe",
        ),
        code="https://github.com/aadityasingh/icl-dynamics",
    ),
    area="learning",
    config=Config,
    presets={"smoke": SMOKE, "full": FULL},
    claims=[
        Claim(
            "plateau-then-drop",
            "The loss lingers near ln 2, falling there more slowly than before and after, and "
            "induction strengths rise together with its drop",
            reported="plateau at 0.69 to 0.75 until 2e5 sequences, drop between 2e5 and 3.5e5",
            source="figure 3",
            test=All(
                Less("slope_at_plateau", "slope_before"),
                Less("slope_at_plateau", "slope_after"),
                Less("loss_strength_correlation", -0.9),
            ),
        ),
        Claim(
            "solved-through-layer-2",
            "The model learns the task, and what layer 1 sends directly to the output does not matter",
            reported="accuracy 0.99999, and 0.99986 without the direct path",
            source="section 3",
            test=All(
                Greater("accuracy", 0.99),
                Equals("accuracy_without_direct_path", "accuracy", tolerance=0.005),
            ),
        ),
        Claim(
            "many-heads",
            "More than three heads of layer 2 become induction heads (strength above 0.2), of "
            "different strengths",
            reported="strengths 0.42 0.74 0.71 0.85 0.29 0.55 0.10 0.57",
            source="figure 3b, 4a",
            test=All(Greater("induction_heads", 3), Greater("strength_range", 0.3)),
        ),
        Claim(
            "redundancy",
            "Ablating any one induction head hardly matters, while no head alone is enough on "
            "average",
            reported="ablate-one accuracies about 1.0; keep-one 0.40 0.77 0.75 0.98 0.43 0.65 0.29 0.59",
            source="figure 4a, table 2",
            test=All(Greater("ablate_one_accuracy", 0.99), Less("keep_one_accuracy", 0.9)),
        ),
        Claim(
            "additivity",
            "Each of the four strongest heads lowers the loss further",
            reported="0.117, 0.044, 0.010, 0.005 with the strongest 1, 2, 3, 4",
            source="appendix, figure 14",
            test=Decreasing("loss_by_heads"),
        ),
        Claim(
            "each-alone",
            "Each head of layer 2 trained alone solves the task, later than all heads together",
            reported="3e5 to 6.5e5 sequences alone, 2.7e5 together",
            source="figure 4b",
            test=All(Within("single_heads_learnt", 0.99, 1), Greater("single_head_delay", 1)),
        ),
        Claim(
            "previous-token-heads-serve-patterns",
            "Previous-token heads serve the attention patterns of layer 2, the other heads of layer 1 "
            "its values",
            reported="accuracy without the former 0.9985 (patterns kept) against 0.699 (values kept); "
            "without the rest 0.343 against 0.993",
            source="appendix, table 1",
            test=All(
                Greater("without_previous_patterns_kept", "without_previous_values_kept"),
                Greater("without_rest_values_kept", "without_rest_patterns_kept"),
            ),
        ),
        Claim(
            "many-to-many",
            "Previous-token and induction heads are wired many to many: a head has more than 1.5 "
            "partners (with at least half the best one's effect) on average, on either side",
            reported="heat maps",
            source="appendix, figure 11",
            test=All(
                Greater("partners_of_induction_heads", 1.5),
                Greater("partners_of_previous_token_heads", 1.5),
            ),
        ),
        Claim(
            "order-of-clamps",
            "The more of the circuit is clamped, the sooner the rest is learnt: none, previous "
            "token, layer 1, then match and copy, then layer 1 and copy",
            reported="3.1e5, 2.2e5, 7e4, 4e4, 3e4, 3e4 sequences",
            source="figure 5b",
            test=All(
                Greater("time_none", "time_previous_token"),
                Greater("time_previous_token", "time_layer_1"),
                Greater("time_layer_1", "time_match"),
                Greater("time_layer_1", "time_copy"),
                Greater("time_match", "time_layer_1_copy", by=-500),
                Greater("time_copy", "time_layer_1_copy", by=-500),
            ),
        ),
        Claim(
            "clamps-remove-the-plateau",
            "With match, copy, or layer 1 and copy clamped, less than a fifth of the time near ln 2 "
            "is left",
            reported="no plateau in the curves",
            source="figure 5b",
            test=All(
                Less("plateau_left_match", 0.2),
                Less("plateau_left_copy", 0.2),
                Less("plateau_left_layer_1_copy", 0.2),
            ),
        ),
        Claim(
            "progress-measures-differ",
            "The match progress measure falls later than the loss does when the match is clamped all "
            "through training",
            reported="the progress measure keeps the drop, the clamped training has none",
            source="appendix, figure 10",
            test=Greater("progress_half_time_match", "clamp_half_time_match"),
        ),
        Claim(
            "too-many-previous-token-heads",
            "Clamping the patterns of all heads of layer 1 slows learning beside clamping one",
            reported="a loss of 0.5 at 4.5e5 against 2.5e5 sequences",
            source="appendix, figure 8",
            test=Greater("time_all_previous_token", "time_previous_token"),
        ),
        Claim(
            "data-dependence",
            "More labels delay learning strongly, more classes mildly",
            reported="2.7e5, 8.5e5, 1.35e6 with 5, 10, 15 labels; 2.7e5, 3.4e5, 3.9e5 with 50, 100, "
            "200 classes",
            source="figure 6",
            test=All(
                Increasing("time_by_labels"),
                Increasing("time_by_classes"),
                Greater("delay_by_labels", "delay_by_classes"),
            ),
        ),
        Claim(
            "match-and-labels",
            "The match (subcircuit B) is learnt as fast with more labels, within a quarter, and more "
            "slowly with more classes",
            reported="curves coincide over labels, separate a little over classes",
            source="figure 6",
            test=All(
                Within("match_delay_by_labels", 0.75, 1.25), Greater("match_delay_by_classes", 1)
            ),
        ),
        Claim(
            "copy-and-classes",
            "The copy (subcircuit C) is learnt as fast with more classes, within a quarter, and more "
            "slowly with more labels",
            reported="curves coincide over classes, separate over labels",
            source="figure 6",
            test=All(
                Within("copy_delay_by_classes", 0.75, 1.25), Greater("copy_delay_by_labels", 1)
            ),
        ),
        Claim(
            "grafted-layer-1",
            "A trained layer 1 from the same seed removes the plateau, and one from another seed "
            "takes at least 1.5 times as long",
            reported="from the same seed far faster than from others",
            source="appendix, figure 7",
            test=All(
                Less("plateau_left_graft", 0.2),
                Greater("other_graft_delay", 1.5),
            ),
        ),
        Claim(
            "toy-model",
            "In the toy model of three interacting vectors, each further one clamped brings the drop "
            "forward, and with two clamped there is no plateau",
            reported="plateau, earlier drop, immediate exponential",
            source="figure 5a",
            test=All(
                Greater("toy_time_none", "toy_time_c"),
                Greater("toy_time_c", "toy_time_b_c"),
                Within("toy_exponential_error", 0, 1e-9),
            ),
        ),
        Claim(
            "copies-are-label-specific",
            "A single head that attends perfectly does better, and still far from perfectly: copies "
            "are specific to labels",
            reported="0.50 0.83 0.83 0.999 0.62 0.76 0.28 0.71 with a perfect match",
            source="appendix, figure 16, table 3",
            test=All(
                Greater("perfect_match_accuracy", "keep_one_accuracy"),
                Less("perfect_match_accuracy", 0.9),
            ),
        ),
    ],
    scale=lambda config: (
        f"{config.features} features of {config.classes[0]} classes, {config.labels[0]} labels, "
        f"{config.seeds} seeds, learning rate {config.learning_rate:g}"
        + (" (the paper's: 1e-05)" if config.learning_rate != 1e-5 else "")
    ),
    minutes={"smoke": 0.3, "laptop": 5},
    data="Simulated exemplars (independent normal numbers), and letters of the DejaVu fonts that "
    "matplotlib ships (Bitstream Vera licence). The paper's are ResNet-18 features of Omniglot, "
    "which preset full reads from a file of the user's.",
    example="""
    from axonal.learning.induction import (
        AttentionOnlyTransformer, FewShotTask, gaussian_features, induction_strength, subcircuit, train,
    )

    task = FewShotTask(gaussian_features(150), n_labels=5, n_classes=50)
    model = AttentionOnlyTransformer(task.dim, task.n_labels, seeds=range(3))
    run = train(model, task, sequences=12_000, lr=1e-4, clamp=subcircuit("match", head=3))
    print(run.learning_time())                      # sequences, a seed; NaN is censored
    print(induction_strength(model, task.sample("train", 500)))
    """,
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure; the lab judges."""
    from axonal.studies.induction_head_formation import figures, summary
    from axonal.studies.induction_head_formation.afterwards import afterwards
    from axonal.studies.induction_head_formation.trainings import Laboratory, one_thread

    with one_thread():
        laboratory = Laboratory(config, session)
        curves = laboratory.all_curves()
        trained = session.stage("afterwards", lambda: afterwards(laboratory))
    toy = session.stage("toy", lambda: summary.toy(session))
    summary.record(session, config, curves, trained, toy)
    figures.draw(session, config, curves, trained, toy)
    summary.notes(session, config, curves)
    laboratory.tidy()
