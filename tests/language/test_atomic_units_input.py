"""What bad input gets: one sentence that says what came and what to do."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
import transformers
from unit_models import fresh, random_momentum, some_choices, some_pairs

from axonal.activations import Site
from axonal.errors import AxonalError, InputError
from axonal.language.atomic_units import (
    Choices,
    ContrastivePairs,
    KeptRun,
    Momentum,
    Questions,
    Units,
    fold_into_weights,
    logit_gaps,
    measure,
    multiple_choice,
    nearest_answers,
    norm_growth,
    select,
    sweep,
    task,
    token_laws,
    unit_site,
)
from axonal.language.atomic_units.organism import Organism
from axonal.language.atomic_units.overflow import check_finite
from steering_models import tiny


def columns(count):
    return (
        [f"prompt {i}" for i in range(count)],
        [f" good {i}" for i in range(count)],
        [f" bad {i}" for i in range(count)],
    )


# Pairs


def test_equal_texts_are_dropped_and_counted():
    prompts, good, bad = columns(40)
    bad[3] = good[3]
    with pytest.warns(UserWarning, match="1 of 40 pairs have equal texts"):
        pairs = ContrastivePairs.of(prompts, good, bad)
    assert len(pairs) == 39
    bad[:10] = good[:10]
    with pytest.raises(InputError, match="In 10 of 40 pairs"):
        ContrastivePairs.of(prompts, good, bad)


def test_few_pairs_are_warned_of_with_what_chance_gives():
    with pytest.warns(UserWarning, match=r"only 12 pairs.*score 1\.00 by chance"):
        ContrastivePairs.of(*columns(12))


def test_an_answer_that_is_mostly_the_positive_one_is_warned_of():
    prompts, good, bad = columns(40)
    good[:30] = [" yes"] * 30
    with pytest.warns(UserWarning, match=r"' yes' is the positive one in 30 of 40.*which token"):
        ContrastivePairs.of(prompts, good, bad)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        some_pairs()  # balanced


def test_pairs_that_are_no_pairs_are_refused():
    with pytest.raises(InputError, match=r"\[2, 1, 1\]"):
        ContrastivePairs.of(["a", "b"], ["c"], ["d"])
    with pytest.raises(InputError, match="no contrastive pairs"):
        ContrastivePairs.of([], [], [])
    with pytest.raises(InputError, match="holds what is no text"):
        ContrastivePairs.of(["a"], [3], ["b"])  # pyright: ignore
    with pytest.raises(InputError, match="no list of wrong answers"):
        multiple_choice(["a"], ["b"], ["c"], seed=0)
    with pytest.raises(InputError, match="two different answers"):
        nearest_answers(["a", "b"], ["x", "x"], lambda texts: texts)


def test_files_of_pairs_are_read_or_explained(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"p{i}", "positive": " a", "negative": " b"} for i in range(25)]
    rows = [
        dict(r, positive=r["negative"], negative=r["positive"]) if i % 2 else r
        for i, r in enumerate(rows)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert len(ContrastivePairs.read(path)) == len(Questions.read(path)) == 25
    path.write_text('{"prompt": "a", "positive": "b"}')
    with pytest.raises(InputError, match="line 1 has no text under 'negative'"):
        ContrastivePairs.read(path)
    path.write_text("prompt")
    with pytest.raises(InputError, match="line 1 is no JSON"):
        ContrastivePairs.read(path)
    path.write_text("\n")
    with pytest.raises(InputError, match="holds no pairs"):
        ContrastivePairs.read(path)
    with pytest.raises(InputError, match="can't be read"):
        ContrastivePairs.read(tmp_path / "none.jsonl")
    half = [*rows[:20], dict(rows[20], negative_prompt="q")]
    path.write_text("\n".join(map(json.dumps, half)))
    with pytest.raises(InputError, match="1 of 21 lines have a negative_prompt"):
        ContrastivePairs.read(path)


def test_a_text_that_is_too_long_loses_its_beginning():
    with pytest.warns(UserWarning, match=r"of 48 texts have more than 8 tokens; their beginning"):
        cut = measure(tiny(), some_pairs(), "layer", max_length=8)
    assert cut.pairs == 24


# Ranking


def test_more_units_than_have_a_score_are_refused():
    good = torch.zeros(30, 1, 4)
    good[:, :, 0] = 1
    momentum = Momentum.of(good, torch.zeros(30, 1, 4))
    with pytest.raises(InputError, match="k is 2, but 1 of 4 units"):
        select(momentum, 2, 1.0)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("inf"), float("nan")])
def test_a_strength_is_positive(alpha):
    with pytest.raises(InputError, match="alpha is a positive number"):
        select(random_momentum(), 1, alpha)


def test_gains_that_flip_or_blow_up_are_warned_of():
    momentum = random_momentum(pairs=41)
    with pytest.warns(UserWarning, match="gain below -1, which flips their sign"):
        select(momentum, 10, 3.0)
    with pytest.warns(
        UserWarning, match=r"is predicted to grow to [\d.]+ times its norm"
    ) as caught:
        units = select(momentum, 10, 50.0)
    growth = norm_growth(units, momentum)
    assert f"layer {int(growth.argmax())}" in str(caught[-1].message)
    good, bad = torch.ones(1, 1, 4), torch.zeros(1, 1, 4)
    known = Momentum.of(good, bad)  # one of four equal units doubles: sqrt((3 + 4) / 4)
    assert float(norm_growth(select(known, 1, 1.0), known)) == pytest.approx((7 / 4) ** 0.5)


def test_unknown_names_get_the_nearest():
    with pytest.raises(InputError, match="did you mean attention"):
        measure(tiny(), some_pairs(), "atention")
    with pytest.raises(InputError, match="did you mean promote"):
        select(random_momentum(), 1, 1.0, tie="promot")
    with pytest.raises(InputError, match="'answer' or 'prompt'"):
        measure(tiny(), some_pairs(), position="last")
    with pytest.raises(InputError, match="did you mean capitals"):
        task("capital", tiny().tokenizer, ranking=1, validation=1, test=1, seed=0)


def test_momenta_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match="different site"):
        _ = random_momentum() + Momentum.of(*torch.randn(2, 4, 3, 32), site="mlp_out")
    with pytest.raises(InputError, match=r"shape \(pairs, layers, units\)"):
        Momentum.of(torch.zeros(3, 4), torch.zeros(3, 4))
    bad = torch.zeros(2, 1, 4)
    bad[1, 0, 2] = torch.inf
    with pytest.raises(InputError, match="layer 0, unit 2 in the bad text of pair 1 is not finite"):
        Momentum.of(torch.zeros(2, 1, 4), bad)


def test_the_same_prompts_have_no_momentum_at_their_end():
    with pytest.raises(InputError, match="all momenta are zero"):
        measure(tiny(), some_pairs(), position="prompt")


# Steering


def test_logits_that_overflow_name_the_unit():
    language_model = fresh(dtype=torch.float16)
    model = language_model.model
    site = unit_site(model, "layer", 2)
    momentum = measure(tiny(), some_pairs(), "layer")
    units = select(momentum, 3, 1.0, warn=False)
    units = Units(**{**vars(units), "gain": torch.tensor([0.1, 3e7, 0.2], dtype=torch.float64)})
    layer, unit = int(units.layer[1]), int(units.unit[1])
    with pytest.raises(
        AxonalError, match=rf"beyond the largest.*unit {unit} at model.layers.{layer} "
    ):
        logit_gaps(language_model, some_choices(language_model), units.edits(model))
    with pytest.raises(AxonalError, match="not finite"):
        KeptRun(language_model, some_choices(language_model)).gaps(units.edits(model))
    with pytest.raises(AxonalError, match="steer less"):
        check_finite(model, {}, {})
    assert isinstance(site, Site)


def test_units_of_another_width_or_depth_are_refused():
    units = select(measure(tiny("qwen3"), some_pairs(), "attention"), 3, 1.0, warn=False)
    with pytest.raises(
        InputError, match="found among 48 at attention, but LlamaForCausalLM has 32"
    ):
        units.edits(tiny("llama").model)
    with pytest.raises(InputError, match="among 48 at attention, but GPT2LMHeadModel has 32"):
        units.edits(tiny("gpt2").model)
    deep = Units(**{**vars(units), "layer": torch.tensor([0, 1, 7])})
    with pytest.raises(InputError, match="reach layer 7, but Qwen3ForCausalLM has layers 0 to 2"):
        deep.edits(tiny("qwen3").model)


def test_experts_are_steered_at_their_output_only():
    config = transformers.Qwen3MoeConfig(
        vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_experts=4,
        num_experts_per_tok=2, moe_intermediate_size=16,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.Qwen3MoeForCausalLM(config).eval()
    experts = type(tiny())(model, tiny().tokenizer, "experts", None)
    with pytest.raises(InputError, match="no single down projection"):
        measure(experts, some_pairs(), "down_proj_in")
    units = select(measure(experts, some_pairs(), "mlp_out"), 3, 1.0, warn=False)
    base = logit_gaps(experts, some_choices(experts))
    assert not torch.equal(logit_gaps(experts, some_choices(experts), units.edits(model)), base)
    with pytest.raises(InputError, match="no single down projection"):
        fold_into_weights(model, units)


def test_weights_that_do_not_fold_are_refused_before_anything_changes():
    language_model = fresh()
    model = language_model.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    momentum = measure(tiny(), some_pairs(), "layer")
    with pytest.raises(InputError, match="belong to no single weight"):
        fold_into_weights(model, select(momentum, 3, 1.0, warn=False))
    units = select(measure(tiny(), some_pairs(), "attention"), 40, 1.0, warn=False)
    layers = model.model.layers
    layers[2].self_attn.o_proj.weight = layers[1].self_attn.o_proj.weight
    with pytest.raises(InputError, match=r"is shared by model\.layers\.1.*and model\.layers\.2"):
        fold_into_weights(model, units)
    model = fresh().model
    quantised = torch.ao.nn.quantized.dynamic.Linear(32, 32)
    model.model.layers[2].self_attn.o_proj = quantised
    with pytest.raises(InputError, match="don't fold"):
        fold_into_weights(model, units)
    own = model.model.layers[0].self_attn.o_proj.weight
    assert torch.equal(own, before["model.layers.0.self_attn.o_proj.weight"])
    model = fresh().model
    projection = model.model.layers[0].self_attn.o_proj
    projection.weight = torch.nn.Parameter(projection.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(InputError, match=r"quantised \(Linear, torch.int8\)"):
        fold_into_weights(model, units)


def test_a_silenced_unit_has_no_inverse():
    units = select(random_momentum(pairs=41), 1, 1.0, warn=False)
    units = Units(**{**vars(units), "gain": torch.tensor([-1.0], dtype=torch.float64)})
    with pytest.raises(InputError, match="silences it"):
        units.inverse()


def test_tables_of_units_that_make_no_sense_are_refused(tmp_path):
    units = select(random_momentum(pairs=41), 2, 1.0, warn=False)
    about = vars(units)
    with pytest.raises(InputError, match="named twice"):
        Units(**{**about, "layer": torch.zeros(2).long(), "unit": torch.zeros(2).long()})
    with pytest.raises(InputError, match="between 0 and 31"):
        Units(**{**about, "unit": torch.tensor([0, 32])})
    with pytest.raises(InputError, match="finite"):
        Units(**{**about, "gain": torch.tensor([1.0, torch.nan])})
    path = tmp_path / "units.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="no atomic units"):
        Units.load(path)
    units.save(path)
    path.write_text(path.read_text().replace('"gain"', '"strength"'))
    with pytest.raises(InputError, match="no whole table"):
        Units.load(path)
    with pytest.raises(InputError, match="can't be read"):
        Units.load(tmp_path / "none.json")


def test_questions_whose_answers_do_not_differ_are_refused():
    tokenizer = tiny().tokenizer
    with pytest.raises(InputError, match="don't differ at any token"):
        Choices.of(tokenizer, ["the film"], [" was good"], [" was"])
    with pytest.raises(InputError, match="a right and a wrong answer"):
        Choices.of(tokenizer, ["the film"], [" was"], [])


def test_empty_sweeps_and_disordered_strengths_are_refused():
    kept = KeptRun(tiny(), some_choices(tiny()))
    with pytest.raises(InputError, match="at least one k"):
        sweep(kept, measure(tiny(), some_pairs()), k=[])
    with pytest.raises(InputError, match="ascending"):
        token_laws(tiny(), ["the"], "layer", [(0, 0)], [10, 1])
    with pytest.raises(InputError, match="organism has at least 2 layers"):
        Organism.grow(layers=1)
