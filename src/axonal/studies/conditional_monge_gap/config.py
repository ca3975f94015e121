"""What the study trains, on what, and how large."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from axonal.lab import StudyConfig


class Config(StudyConfig):
    """The maps, the simulated screens, and a screen of the user's."""

    repeats: PositiveInt = Field(
        3, description="simulated screens, and trainings on the yeast data"
    )
    steps: PositiveInt = Field(200, description="updates of every conditional map")
    batch_size: PositiveInt = Field(96, description="cells of control and of each treatment a step")
    conditions_per_step: PositiveInt = Field(4, description="treatments a step, averaged")
    learning_rate: PositiveFloat = Field(3e-3, description="of AdamW, falling along a cosine")
    epsilon_fit: PositiveFloat = Field(1.0, description="entropy of the Sinkhorn divergence")
    epsilon_gap: float = Field(
        0.0, ge=0, description="entropy of the Monge gap; 0 is the exact gap, the paper has 0.01"
    )
    specific_steps: PositiveInt = Field(200, description="updates of a map for one treatment")
    training_doses: tuple[PositiveInt, ...] = Field(
        (1, 5, 9, 13, 17), description="yeast: which of the 21 ascending doses are trained on"
    )
    molecules: PositiveInt = Field(8, description="drugs a mechanism, one of them held out")
    cells: PositiveInt = Field(300, description="simulated cells a treatment")
    genes: PositiveInt = Field(100, description="simulated genes")
    components: PositiveInt = Field(10, description="principal components in which cells move")
    effect_cells: PositiveInt = Field(48, description="cells of a treatment in its effect vector")
    combinations: PositiveInt = Field(
        12, description="pairs of drugs given together, half held out"
    )
    scaling: tuple[PositiveInt, ...] = Field(
        (2, 5, 12), description="training drugs a mechanism, ascending; none: not run"
    )
    scaling_repeats: PositiveInt = Field(3, description="screens of the scaling part")
    epsilons: tuple[PositiveFloat, ...] = Field(
        (0.25, 0.5, 2.0), description="further entropies of the fit, on the first screen"
    )
    metric_batches: PositiveInt = Field(2, description="batches a measure is averaged over")
    metric_cells: PositiveInt = Field(200, description="cells of either side in a batch")
    screen: str = Field("", description="a screen of yours: sciplex3's hvg.h5ad or 4i's 8h.h5ad")
    layout: str = Field("sciplex", description="its layout: sciplex or 4i")
    smiles: str = Field("", description="its molecules: a CSV file with columns drug and smiles")
    screen_hidden: tuple[PositiveInt, ...] = Field(
        (512, 512, 512), description="hidden layers of the map of your screen"
    )
    screen_steps: PositiveInt = Field(10_000, description="updates of the map of your screen")
    screen_batch: PositiveInt = Field(512, description="cells a step of the map of your screen")
    screen_folds: PositiveInt = Field(1, description="folds of nine held-out drugs (the paper: 21)")
    screen_epochs: PositiveInt = Field(50, description="epochs of the autoencoder of your screen")
