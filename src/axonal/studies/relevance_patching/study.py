"""Relevance patching: does it track activation patching better than gradients do, at their price?

Rezaei Jafari, Eberle, Khakzar, Nanda, "RelP: Faithful and Efficient Circuit Discovery in Language
Models via Relevance Patching", arXiv 2508.21258. Every prompt is patched exactly and estimated by
every method; a repeat is a batch of prompts of one template.
"""

from __future__ import annotations

from datetime import date

from pydantic import Field, PositiveInt

from axonal.lab import (
    All,
    Claim,
    Equals,
    Greater,
    Less,
    Paper,
    Session,
    Study,
    StudyConfig,
    Within,
)

FAMILIES = (
    "openai-community/gpt2",
    "openai-community/gpt2-medium",
    "EleutherAI/pythia-70m",
    "EleutherAI/pythia-410m",
    "Qwen/Qwen2-0.5B",
    "google/gemma-2-2b",
)


class Config(StudyConfig):
    """What is patched, and with how many prompts."""

    model: str = Field(
        "smollm2-135m-instruct", description="an asset's name, a folder or a hub id of the model"
    )
    device: str = Field("cpu", description="where the model runs: cpu, cuda")
    layers: tuple[int, ...] = Field((), description="layers that are patched; none means all")
    batches: int = Field(6, ge=2, description="IOI batches, each of one template: the repeats")
    pairs: PositiveInt = Field(2, description="IOI prompt pairs a batch, each patched both ways")
    agreement_batches: int = Field(6, ge=2, description="subject-verb agreement batches")
    agreement_pairs: PositiveInt = Field(3, description="subject-verb agreement pairs a batch")
    circuit_repeats: PositiveInt = Field(4, description="circuits found from fresh prompts")
    circuit_pairs: PositiveInt = Field(4, description="pairs that each circuit is found from")
    circuit_tests: PositiveInt = Field(12, description="fresh pairs that each circuit is tested on")
    circuit_sizes: tuple[PositiveInt, ...] = Field(
        (10, 30, 100, 300, 1000, 3000), description="heads and neurons in a circuit, ascending"
    )
    steps: PositiveInt = Field(5, description="steps of integrated gradients")
    ablations: bool = Field(True, description="whether sets with fewer or other rules run too")
    families: tuple[str, ...] = Field((), description="further models whose agreement is measured")


study = Study(
    slug="relevance-patching",
    paper=Paper(
        title="RelP: Faithful and Efficient Circuit Discovery in Language Models via Relevance "
        "Patching",
        arxiv="2508.21258",
        published=date(2025, 8, 28),
        authors=(
            "Farnoush Rezaei Jafari",
            "Oliver Eberle",
            "Ashkan Khakzar",
            "Neel Nanda",
        ),
        code="https://github.com/FarnoushRJ/RelP",
    ),
    area="language",
    config=Config,
    presets={
        "smoke": {
            "layers": (20, 26),
            "batches": 2,
            "pairs": 1,
            "agreement_batches": 2,
            "agreement_pairs": 1,
            "circuit_repeats": 1,
            "circuit_pairs": 1,
            "circuit_tests": 2,
            "circuit_sizes": (300,),
            "steps": 1,
            "ablations": False,
        },
        "full": {
            "model": "openai-community/gpt2-large",
            "device": "cuda",
            "batches": 12,
            "pairs": 8,
            "circuit_pairs": 20,
            "circuit_tests": 50,
            "steps": 10,
            "families": FAMILIES,
        },
    },
    claims=[
        Claim(
            "mlp-outputs",
            "Relevance patching tracks activation patching more closely than attribution patching "
            "does, at MLP outputs",
            reported="Pearson r 0.956 against 0.006 (GPT-2 Large, IOI)",
            source="abstract",
            test=Greater("relevance_pearson_mlp", "attribution_pearson_mlp"),
        ),
        Claim(
            "residual-stream",
            "Relevance patching tracks activation patching more closely than attribution patching "
            "does, in the residual stream",
            reported="Pearson r 0.968 against 0.753 (GPT-2 small, IOI)",
            source="table 1",
            test=Greater("relevance_pearson_residual", "attribution_pearson_residual"),
        ),
        Claim(
            "attention-parity",
            "At attention outputs the two track activation patching equally well, within 0.03",
            reported="Pearson r 0.962 against 0.979 (GPT-2 small, IOI)",
            source="table 1",
            test=Equals(
                "relevance_pearson_attention", "attribution_pearson_attention", tolerance=0.03
            ),
        ),
        Claim(
            "where-the-gain-is",
            "The gain over attribution patching is larger in the residual stream and at MLP outputs "
            "than at attention outputs",
            reported="gains in r of 0.215, 0.797 and -0.017 (GPT-2 small, IOI)",
            source="abstract, table 1",
            test=All(
                Greater("gain_residual", "gain_attention"), Greater("gain_mlp", "gain_attention")
            ),
        ),
        Claim(
            "second-task",
            "The gain in the residual stream and at MLP outputs holds on another task, "
            "subject-verb agreement",
            reported="holds across a range of models and tasks",
            source="abstract",
            test=All(
                Greater("agreement_relevance_mlp", "agreement_attribution_mlp"),
                Greater("agreement_relevance_residual", "agreement_attribution_residual"),
            ),
        ),
        Claim(
            "cost",
            "Relevance patching costs what attribution patching does: two forward passes and one "
            "backward pass, and at most 1.5 times its CPU time",
            reported="two forward passes and one backward pass",
            source="abstract",
            test=All(
                Equals("relevance_forward_passes", 2, tolerance=0.01),
                Equals("relevance_backward_passes", 1, tolerance=0.01),
                Within("relevance_time_over_attribution", 0, 1.5),
            ),
        ),
        Claim(
            "circuit-faithfulness",
            "Circuits found by relevance patching are as faithful as those found by integrated "
            "gradients: the mean distance of faithfulness from 1 is larger by less than 0.1",
            reported="comparable faithfulness (sparse features of Pythia-70M, subject-verb "
            "agreement)",
            source="abstract",
            test=Less("circuit_distance_relevance", "circuit_distance_ig", by=-0.1),
        ),
        Claim(
            "circuit-cost",
            "Integrated gradients need at least five times the work for such a circuit, counted in "
            "tokens that pass a block forward or backward",
            reported="comparable without the extra computational cost of integrated gradients",
            source="abstract",
            test=Greater("circuit_work_ig_over_relevance", 5),
        ),
        Claim(
            "conservation",
            "With the attention rule added, relevance sums to the logit difference at every layer",
            reported="rules that ensure properties such as relevance conservation",
            source="abstract",
            test=Within("conservation_error", 0, 1e-4),
        ),
        Claim(
            "gpt2-large",
            "In GPT-2 Large gradients fail at MLP outputs, and relevance does not",
            reported="Pearson r 0.006 against 0.956",
            source="abstract",
            test=All(
                Within("attribution_pearson_mlp", -0.2, 0.2), Greater("relevance_pearson_mlp", 0.9)
            ),
            needs="full",
        ),
        Claim(
            "families",
            "The gain in the residual stream and at MLP outputs holds in every model family: GPT-2, "
            "Pythia, Qwen2, Gemma 2",
            reported="holds across a range of models",
            source="table 1",
            test=All(Greater("family_gain_residual", 0), Greater("family_gain_mlp", 0)),
            needs="full",
        ),
    ],
    scale=lambda config: (
        f"{config.model}, {2 * config.batches * config.pairs} IOI prompts of {config.batches} "
        f"templates, {config.agreement_batches * config.agreement_pairs} agreement prompts"
        + (f", layers {', '.join(map(str, config.layers))} only" if config.layers else "")
    ),
    minutes={"smoke": 0.3, "laptop": 3.5},
    requires=("smollm2-135m-instruct",),
    data="Prompts from templates written for this library (indirect objects after Wang et al. 2023, "
    "subject-verb agreement after Marks et al. 2024). SmolLM2-135M-Instruct: Apache-2.0.",
    example="""
    from axonal.language.models import load
    from axonal.language.relevance import activation_patching, compare, relevance_patching
    from axonal.language.tasks import ioi

    model = load("smollm2-135m-instruct")
    pairs = ioi(model.tokenizer, 2, seed=0)
    relevance = relevance_patching(model, pairs)
    exact = activation_patching(model, pairs)
    print(compare(exact, {"relevance": relevance})[["kind", "pearson", "slope"]])
    print(relevance["mlp"].mean("pair").sum("position"))
    """,
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure; the lab judges."""
    import warnings

    from axonal.language.models import load
    from axonal.studies.relevance_patching import figures, measures, summary

    with warnings.catch_warnings():
        # The report says how often the model is right, also of a run that was continued.
        warnings.filterwarnings("ignore", "The model fails this task")
        model = load(config.model, device=config.device)
        measures.warm_up(model, config.layers)
        ioi = [
            session.stage(f"ioi_{i}", lambda i=i: measures.ioi_batch(model, config, session, i))
            for i in range(config.batches)
        ]
        agreement = [
            session.stage(f"sva_{i}", lambda i=i: measures.sva_batch(model, config, session, i))
            for i in range(config.agreement_batches)
        ]
        circuits = [
            session.stage(f"circuit_{i}", lambda i=i: measures.circuit(model, config, session, i))
            for i in range(config.circuit_repeats)
        ]
        rules = session.stage("rules", lambda: measures.rules(model, config, session))
        families = [
            session.stage(f"family_{j}", lambda n=name: measures.family(n, config, session))
            for j, name in enumerate(config.families)
        ]
    summary.record(session, ioi, agreement, circuits, rules, families)
    figures.draw(session, ioi, circuits, rules)
    summary.notes(session, config, ioi, agreement)
