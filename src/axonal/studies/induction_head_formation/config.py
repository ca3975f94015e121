"""What is trained, for how long, with how many seeds."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from axonal.lab import StudyConfig


class Config(StudyConfig):
    """Exemplars, seeds and budgets; a training ends early when every seed has learnt."""

    features: str = Field(
        "gaussian",
        description="exemplar features: gaussian, correlated, glyphs, or the path of an array "
        "(classes, exemplars, dim) in a .npy or .h5 file",
    )
    dim: PositiveInt = Field(512, description="width of simulated features")
    seeds: int = Field(5, ge=2, description="models in the ensemble, each with its own data")
    learning_rate: PositiveFloat = Field(1e-4, description="of Adam; the paper's is 1e-5")
    sequences: PositiveInt = Field(80_000, description="that the model with all heads sees")
    budget: PositiveInt = Field(100_000, description="sequences that a single head may need")
    clamped_budget: PositiveInt = Field(
        40_000, description="sequences for clamps that leave little to learn"
    )
    data_seeds: int = Field(3, ge=2, description="seeds of the runs with other labels or classes")
    data_budget: PositiveInt = Field(160_000, description="sequences for more labels, more classes")
    labels: tuple[PositiveInt, ...] = Field(
        (5, 10, 15), description="numbers of labels, ascending; the first is the standard one"
    )
    classes: tuple[PositiveInt, ...] = Field(
        (50, 100, 200), description="numbers of classes, ascending; the first is the standard one"
    )
    unseen: PositiveInt = Field(100, description="classes kept for evaluation alone")
    every: PositiveInt = Field(960, description="sequences between evaluations of long trainings")
    evaluation: PositiveInt = Field(256, description="sequences of an evaluation in training")
    afterwards: PositiveInt = Field(
        1000, description="sequences of an evaluation of trained models"
    )
    checkpoints: int = Field(40, ge=2, description="weights kept for the progress measures")
    single_heads: PositiveInt = Field(8, description="heads of layer 2 that are trained alone")
    letters: bool = Field(True, description="whether four clamps also run on letters of real fonts")


SMOKE = {
    "dim": 16,
    "seeds": 2,
    "sequences": 256,
    "budget": 192,
    "clamped_budget": 128,
    "data_seeds": 2,
    "data_budget": 128,
    "labels": (3, 4),
    "classes": (6, 8),
    "unseen": 4,
    "every": 64,
    "evaluation": 16,
    "afterwards": 32,
    "checkpoints": 2,
    "single_heads": 2,
    "letters": False,
}

FULL = {
    "features": "omniglot_resnet18_randomized_order_s0.h5",
    "learning_rate": 1e-5,
    "sequences": 1_000_000,
    "budget": 1_000_000,
    "clamped_budget": 400_000,
    "data_seeds": 5,
    "data_budget": 2_000_000,
    "every": 5_000,
    "evaluation": 1000,
    "checkpoints": 200,
}
