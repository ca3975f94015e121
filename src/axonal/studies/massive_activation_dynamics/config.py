"""The study's settings and the trainings that follow from them."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from axonal.lab import StudyConfig


class Config(StudyConfig):
    """What is measured, trained, tracked and simulated."""

    model: str = Field(
        "smollm2-135m-instruct", description="the language model whose activations are measured"
    )
    device: str = Field("cpu", description="where models run")
    texts: int = Field(
        20, ge=4, multiple_of=2, description="texts that the language model reads, half for means"
    )
    tokens: PositiveInt = Field(256, description="tokens of each text")
    text_groups: int = Field(4, ge=2, description="disjoint groups of texts, as repeats")
    perplexity_texts: int = Field(6, ge=2, description="texts that the loss is measured on")
    seeds: int = Field(3, ge=2, description="trainings of the main small decoder")
    steps: PositiveInt = Field(2000, description="updates of each main training")
    batch: PositiveInt = Field(32, description="sequences a batch of a main training")
    points: int = Field(
        36, ge=6, description="regularly spaced checkpoints of each training, after step 0"
    )
    contrasts: bool = Field(
        True,
        description="whether a training with weight decay and one on bytes are run for comparison",
    )
    depths: tuple[PositiveInt, ...] = Field(
        (2, 3, 4, 6), description="layers of the decoders that differ in architecture"
    )
    widths: tuple[PositiveInt, ...] = Field((32, 64), description="widths of those decoders")
    heads: tuple[PositiveInt, ...] = Field((1, 4), description="heads of those decoders")
    architecture_seeds: PositiveInt = Field(
        2, description="trainings of each of the narrowest architectures; of others one"
    )
    architecture_steps: PositiveInt = Field(500, description="updates of each of those trainings")
    architecture_batch: PositiveInt = Field(16, description="sequences a batch there")
    splits: int = Field(
        5, ge=2, description="random splits of layers that the predictor is scored on"
    )
    regressors: tuple[str, ...] = Field(
        ("ridge", "lasso", "forest", "boosting", "xgboost"),
        description="what competes to predict parameters from architecture",
    )
    trees: PositiveInt = Field(40, description="trees of each forest of the predictor")
    simulated: int = Field(45, ge=6, description="simulated curves that the fit is validated on")
    rate: PositiveFloat = Field(3e-3, description="learning rate of the small decoders")
    models: tuple[str, ...] = Field(
        (), description="hub ids whose revisions are tracked in place of the small decoders"
    )
    revisions: tuple[str, ...] = Field((), description="revisions of those, such as step1000")
    checkpoints: tuple[tuple[int, str], ...] = Field(
        (), description="steps and folders of a training of your own, tracked likewise"
    )


def main_recipes(config: Config) -> list[dict[str, object]]:
    """Return the trainings of the main decoder and those it is compared with."""
    shape = {
        "layers": 3,
        "width": 64,
        "heads": 1,
        "batch": config.batch,
        "steps": config.steps,
        "points": config.points,
    }
    recipes: list[dict[str, object]] = [
        {"name": f"main_{seed}", **shape, "rate": config.rate, "repeat": seed}
        for seed in range(config.seeds)
    ]
    if config.contrasts:
        short = {**shape, "steps": max(40, config.steps // 2), "group": "contrast"}
        recipes += [
            {"name": "decayed", **short, "rate": config.rate, "weight_decay": 1.0},
            {"name": "bytes", **short, "rate": config.rate, "task": "bytes"},
        ]
    return recipes


def architecture_recipes(config: Config) -> list[dict[str, object]]:
    """Return the trainings that differ in architecture."""
    return [
        {
            "name": f"L{layers}_d{width}_H{heads}_{seed}",
            "layers": layers,
            "width": width,
            "heads": heads,
            "batch": config.architecture_batch,
            "steps": config.architecture_steps,
            "points": config.points,
            "rate": config.rate,
            "group": "architecture",
            "repeat": seed,
        }
        for layers in config.depths
        for width in config.widths
        for heads in config.heads
        for seed in range(config.architecture_seeds if width == min(config.widths) else 1)
    ]
