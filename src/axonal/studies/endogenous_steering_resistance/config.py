"""The settings of the study, and what each preset changes."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from axonal.lab import StudyConfig


class Config(StudyConfig):
    """The toy organism, the real model, and how many trials of each."""

    seeds: PositiveInt = Field(6, description="toy organisms, each trained from scratch")
    topics: int = Field(12, ge=4, description="topics of the toy language; half choose detectors")
    words: int = Field(32, ge=10, description="words of an answer in the toy language")
    width: PositiveInt = Field(64, description="features of the toy's residual stream")
    blocks: int = Field(4, ge=2, description="blocks of the toy")
    site: int = Field(2, ge=0, description="block of the toy whose output is steered")
    base_steps: PositiveInt = Field(220, description="updates on answers that never drift")
    teach_steps: PositiveInt = Field(350, description="updates on the mixture with drifts")
    teach_rate: PositiveFloat = Field(2e-3, description="learning rate of the teaching")
    ratio: float = Field(0.5, gt=0, le=1, description="share of drifts that the organism is taught")
    ratios: tuple[float, ...] = Field(
        (0.0, 0.1, 0.5, 0.9),
        description="shares of drifts that are compared, ascending; 0 is not taught at all",
    )
    toy_latents: PositiveInt = Field(512, description="latents of the toy's dictionary")
    toy_dictionary_steps: PositiveInt = Field(250, description="updates of the toy's dictionary")
    detectors: PositiveInt = Field(26, description="off-topic detectors that are ablated")
    steered_latents: PositiveInt = Field(24, description="latents of the toy that are boosted")
    toy_trials: PositiveInt = Field(16, description="trials a latent and condition")
    toy_sweep_trials: PositiveInt = Field(10, description="trials a latent and boost of the sweep")
    levels: int = Field(9, ge=3, description="boosts of the sweep, from -3 to 3 deviations")
    toy_bisections: PositiveInt = Field(10, description="steps of the toy's calibration")
    model: str = Field("smollm2-135m-instruct", description="asset, folder or hub id of the model")
    device: str = Field("cpu", description="where the model runs: cpu, cuda")
    keep_blocks: PositiveInt | None = Field(
        None, description="leave out the model's blocks after so many, to try a setting quickly"
    )
    dictionary: str = Field(
        "smollm2-135m-sae-18",
        description="an asset's name, a folder or file; 'train' makes a small one in the run",
    )
    dictionary_steps: PositiveInt = Field(40, description="updates when dictionary is 'train'")
    block: int | None = Field(None, description="steer the output of this block instead")
    labels: str | None = Field(None, description="JSON of {latent: label} for the dictionary")
    bracket: tuple[float, float, float, float] | None = Field(
        None, description="low, high, prior mean and deviation of boosts; none: by the norms"
    )
    model_latents: PositiveInt = Field(16, description="latents of the model that are boosted")
    model_prompts: int = Field(16, ge=2, description="questions; the other ones choose detectors")
    model_trials: PositiveInt = Field(16, description="trials a latent")
    model_compared: PositiveInt = Field(32, description="trials of each further condition")
    bisections: PositiveInt = Field(10, description="steps of the model's calibration")
    responses: PositiveInt = Field(1, description="responses a step of the model's calibration")
    new_tokens: PositiveInt = Field(64, description="longest answer of the model, in tokens")
    temperature: PositiveFloat = Field(0.6, description="of all sampling")
    batch: PositiveInt = Field(128, description="answers generated together")
    taught: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of corrections on which the model, too, is fine-tuned and measured again; "
        "0 leaves that out",
    )
    lessons: PositiveInt = Field(48, le=48, description="questions that it is fine-tuned on")
    lora_rank: PositiveInt = Field(32, description="of the LoRA")
    lora_rate: PositiveFloat = Field(1e-3, description="learning rate of the LoRA; the paper: 2e-4")
    lora_epochs: PositiveInt = Field(4, description="passes over the lessons")
    judge_url: str | None = Field(None, description="OpenAI-compatible service that judges")
    judge_model: str | None = Field(None, description="its name of the judging model")

    @model_validator(mode="after")
    def _judge_has_a_name(self) -> Config:
        if self.judge_url is not None and self.judge_model is None:
            raise ValueError("judge_url needs judge_model, the name that the service knows it by")
        return self


SMOKE: dict[str, Any] = {
    "seeds": 2,
    "topics": 6,
    "words": 10,
    "width": 32,
    "blocks": 2,
    "site": 0,
    "base_steps": 8,
    "teach_steps": 8,
    "ratios": (0.0, 0.5, 0.9),
    "toy_latents": 64,
    "toy_dictionary_steps": 10,
    "detectors": 3,
    "steered_latents": 4,
    "toy_trials": 3,
    "toy_sweep_trials": 2,
    "levels": 3,
    "toy_bisections": 2,
    "keep_blocks": 4,
    "dictionary": "train",
    "dictionary_steps": 10,
    "model_latents": 2,
    "model_prompts": 3,
    "model_trials": 2,
    "model_compared": 2,
    "bisections": 1,
    "new_tokens": 6,
}

FULL: dict[str, Any] = {
    "seeds": 5,
    "ratios": (0.0, 0.1, 0.3, 0.5, 0.7, 0.9),
    "model": "meta-llama/Llama-3.3-70B-Instruct",
    "device": "cuda",
    "dictionary": "dictionary/",
    "block": 33,
    "bracket": (0.0, 100.0, 7.0, 5.0),
    "model_latents": 1000,
    "model_prompts": 19,
    "model_trials": 5,
    "model_compared": 5000,
    "responses": 5,
    "new_tokens": 512,
}
