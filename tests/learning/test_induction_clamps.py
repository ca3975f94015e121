"""Clamps hold what they say, let gradients through where the paper lets them, and refuse misfits."""

from __future__ import annotations

import math

import pytest
import torch
from induction_models import small_model, small_task
from torch import nn
from torch.nn import functional

from axonal.activations import Site, record
from axonal.errors import AxonalError, InputError
from axonal.learning.induction import (
    SUBCIRCUITS,
    Clamp,
    Clamped,
    Ideal,
    ablate,
    ablation,
    all_but,
    copied_from,
    evaluate,
    fixed_pattern,
    induction,
    matching,
    per_seed,
    perfect_previous_tokens,
    previous_token,
    subcircuit,
)
from axonal.learning.induction.clamping import capturing
from axonal.learning.induction.evaluation import losses_by_seed

TASK = small_task()
BATCH = TASK.sample("train", 24)


def run(model, clamp, batch=BATCH, **options):
    with Clamped(model, clamp) as clamped:
        return clamped(**batch, **options)


def flowed(model, clamp, node, batch=BATCH):
    with Clamped(model, clamp) as clamped, capturing(model, node) as seen:
        clamped(**batch)
        return seen[-1]


def gradients(model, clamp):
    model.zero_grad(set_to_none=True)
    losses_by_seed(run(model, clamp), BATCH["labels"]).sum().backward()
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
    }


# Exactness


def test_no_clamp_and_a_node_clamped_to_itself_change_no_bit():
    model = small_model()
    plain = model(**BATCH)
    assert torch.equal(run(model, Clamp()), plain)
    for node in ("embedding", "layer1.pattern", "layer2.v", "layer1.residual", "logits"):
        assert torch.equal(run(model, Clamp().preserve(node)), plain)
    half = Clamp().preserve("layer1.v", heads=[1, 2])
    assert torch.equal(run(model, half), plain)


def test_nothing_stays_on_the_model():
    model = small_model()
    plain = model(**BATCH)
    with Clamped(model, Clamp().ablate("layer1")) as clamped:
        assert torch.equal(model(**BATCH), plain)  # called directly, also inside
        assert not torch.equal(clamped(**BATCH), plain)
        with pytest.raises(InputError):
            clamped(BATCH["examples"][..., :3], BATCH["labels"])
        assert torch.equal(model(**BATCH), plain)
    assert torch.equal(model(**BATCH), plain)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_the_paper_s_gradients_are_exactly_zero():
    model = small_model()
    width, head = 4, 2  # of a head
    rows = slice(head * width, (head + 1) * width)

    copied = gradients(model, subcircuit("copy", head=head))
    for name in ("layer2.value", "layer2.output", "final_norm", "unembedding"):
        assert all(not g.any() for n, g in copied.items() if n.startswith(name)), name
    assert copied["layer1.query.weight"].any()
    assert copied["layer2.key.weight"][:, :, rows].any()

    both = gradients(model, subcircuit("layer 1 + copy", head=head))
    for name in ("layer1", "label_embedding", "layer2.value", "unembedding"):
        assert all(not g.any() for n, g in both.items() if n.startswith(name)), name
    assert both["example_embedding.weight"].any()

    match = gradients(model, subcircuit("match", head=head))
    assert not match["layer2.query.weight"][:, :, rows].any()
    assert not match["layer2.key.weight"][:, :, rows].any()
    assert match["layer2.value.weight"][:, :, rows].any()

    previous = gradients(model, subcircuit("previous token", head=head, previous=1))
    for name in ("layer1.query.weight", "layer1.key.weight"):
        assert not previous[name][:, :, 4:8].any()
        assert previous[name][:, :, 8:].any()

    bypassed = gradients(model, subcircuit("layer 1", head=head))
    assert all(not g.any() for n, g in bypassed.items() if n.startswith("layer1"))


def test_ablated_heads_get_no_gradient_and_the_rest_do():
    grads = gradients(small_model(), subcircuit("none", head=1))
    assert not grads["layer2.value.weight"][:, :, 8:].any()
    assert grads["layer2.value.weight"][:, :, 4:8].any()


def test_the_copy_clamp_s_loss_is_softplus_of_the_scores():
    model = small_model()
    head = per_seed([2, 0])
    clamp = Clamp().set("logits", copied_from("layer2.scores", head))
    scores = record(model, BATCH, [Site("layer2.scores")], positions=None)[Site("layer2.scores")]
    own = torch.stack([scores[0, :, 2, -1], scores[1, :, 0, -1]])[..., [1, 3]]
    right = (BATCH["labels"][:, :2] == BATCH["labels"][:, 2:]).expand_as(own)
    expected = functional.softplus(own[~right] - own[right]).view(2, -1).mean(1)
    found = losses_by_seed(run(model, clamp), BATCH["labels"])
    assert torch.allclose(found, expected, atol=1e-6)
    other = run(model, clamp).isinf().sum(-1)
    assert bool((other == TASK.n_labels - 2).all())


def test_perfect_previous_tokens_shift_keys_and_leave_values():
    model = small_model()
    clamp = perfect_previous_tokens()
    plain = flowed(model, clamp, "embedding")
    assert torch.equal(flowed(model, clamp, "layer2.qk_input"), plain[:, :, [0, 0, 1, 2, 4]])
    assert torch.equal(flowed(model, clamp, "layer2.v_input"), plain)
    assert torch.equal(flowed(model, clamp, "layer1.residual"), plain)


def test_half_strength_makes_the_two_labels_alike():
    model = small_model()
    swapped = {
        "examples": BATCH["examples"].clone(),
        "labels": BATCH["labels"][:, [1, 0, 2]].clone(),
    }
    swapped["labels"][:, 2] = BATCH["labels"][:, :2].sum(1) - BATCH["labels"][:, 2]
    for strength, alike in ((0.5, True), (1.0, False)):
        clamp = subcircuit("layer 1", head=1) + Clamp().pattern("layer2.head1", induction(strength))
        one, two = run(model, clamp), run(model, clamp, swapped)
        assert torch.allclose(one, two, atol=1e-6) is alike
    # the stated right label is another one, and nothing else is
    assert not torch.equal(swapped["labels"][:, 2], BATCH["labels"][:, 2])


# Patterns


def test_previous_token_patterns_are_as_said():
    model = small_model()
    strong = flowed(model, Clamp().pattern("layer1.head1", previous_token()), "layer1.pattern")
    assert torch.equal(strong[0, 0, 1], torch.eye(5)[[0, 0, 1, 2, 3]])
    plain = record(model, BATCH, [Site("layer1.pattern")], positions=None)[Site("layer1.pattern")]
    assert torch.equal(strong[:, :, 0], plain[:, :, 0])
    weak = flowed(model, Clamp().pattern("layer1", previous_token(0.75)), "layer1.pattern")
    assert weak[1, 3, 2, 3].tolist() == [0, 0, 0.75, 0.25, 0]
    labels = Clamp().pattern("layer1.head0", previous_token(only_labels=True))
    partly = flowed(model, labels, "layer1.pattern")
    assert torch.equal(partly[:, :, 0, 0::2], plain[:, :, 0, 0::2])
    assert torch.equal(partly[0, 0, 0, 1::2], torch.eye(5)[[0, 2]])


@pytest.mark.parametrize("pairs", [2, 3])
def test_induction_patterns_attend_to_the_right_label_in_any_context(pairs):
    task, model = small_task(n_pairs=pairs), small_model()
    batch = task.sample("train", 12)
    pattern = flowed(
        model, Clamp().pattern("layer2.head1", induction(0.8)), "layer2.pattern", batch
    )
    right = batch["labels"][:, :-1] == batch["labels"][:, -1:]
    row = pattern[0, :, 1, -1]
    assert torch.allclose(row[:, 1::2][right], torch.tensor(0.8))
    assert torch.allclose(row[:, 1::2][~right], torch.tensor(0.2 / (pairs - 1)))
    assert not row[:, 0::2].any()
    similar = flowed(model, Clamp().pattern("layer2.head1", matching()), "layer2.pattern", batch)
    assert torch.equal(similar[0, :, 1, -1, 1::2], right.float())  # the same exemplar is nearest
    soft = flowed(model, Clamp().pattern("layer2.head1", matching(0.5)), "layer2.pattern", batch)
    assert torch.allclose(soft.sum(-1), torch.tensor(1.0))
    fixed = flowed(model, Clamp().pattern("layer2", fixed_pattern()), "layer2.pattern", batch)
    assert fixed.unique(dim=1).shape[1] == 1


def test_heads_may_differ_between_seeds():
    model = small_model(seeds=(0, 1, 2))
    values = flowed(model, Clamp().ablate("layer2", all_but(per_seed([0, 3, [1, 2]]))), "layer2.v")
    kept = values.abs().sum((1, 3, 4)) > 0
    assert kept.tolist() == [
        [True, False, False, False],
        [False, False, False, True],
        [False, True, True, False],
    ]


# Paths


def test_both_preserved_leaves_the_direct_path():
    model = small_model()
    sites = [Site(f"{node}") for node in ("layer1.out", "layer2.residual")]
    seen = record(model, BATCH, sites, positions=None)
    direct = seen[sites[1]][:, :, -1] - seen[sites[0]][:, :, -1]
    expected = model.unembedding(model.final_norm(direct))
    found = run(model, ablation(2, {1: all_but([])}, "both"))
    assert torch.allclose(found, expected, atol=1e-5)


def test_preserving_patterns_leaves_the_value_path():
    model = small_model()
    clamp = ablation(2, {1: 0}, "patterns")
    intact = record(model, BATCH, [Site("layer2.pattern")], positions=None)[Site("layer2.pattern")]
    assert torch.equal(flowed(model, clamp, "layer2.pattern"), intact)
    without = flowed(model, ablation(2, {1: 0}), "layer2.v")
    assert torch.allclose(flowed(model, clamp, "layer2.v"), without)
    values = flowed(model, ablation(2, {1: 0, 2: [3]}, "values"), "layer2.v")
    kept = record(model, BATCH, [Site("layer2.v")], positions=None)[Site("layer2.v")]
    assert torch.equal(values[:, :, :3], kept[:, :, :3])
    assert not values[:, :, 3].any()
    with pytest.raises(InputError, match="did you mean patterns"):
        ablate(model, BATCH, [(1, 0)], preserve="pattern")
    with pytest.raises(InputError, match="no layer 3"):
        ablate(model, BATCH, [(3, 0)])
    with pytest.raises(InputError, match=r"\(layer, head\) pairs"):
        ablate(model, BATCH, [(1, 2, 3)])


# Any module, any window


class Other(nn.Module):
    """No ensemble, no transformer, and a part that returns a tuple."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.LSTM(4, 2, batch_first=True)

    def forward(self, x):
        return self.second(self.first(x).tanh())[0]


def test_any_module_is_clamped_by_its_paths():
    torch.manual_seed(0)
    model, x = Other(), torch.randn(2, 5, 3)
    clamp = (
        Clamp()
        .set("first", 0.5, where={-1: [1, 3]})
        .set("second", torch.ones(2), where=lambda y: y > 0)
    )
    with Clamped(model, clamp) as run_it, capturing(model, "first") as first:
        out = run_it(x)
    assert (first[0][..., [1, 3]] == 0.5).all()
    assert (out[out > 0] == 1).all()
    assert (out < 0).any()

    def doubled(seen, value):
        return 2 * seen.unclamped["first"]

    with Clamped(model, Clamp().set("first", Ideal(doubled, unclamped=("first",)))) as run_it:
        assert torch.allclose(run_it(x), model.second((2 * model.first(x)).tanh())[0])


def test_a_window_of_steps_is_kept():
    model = small_model()
    clamp = Clamp().ablate("layer1").during(2, 4) + Clamp().ablate("layer1").during(6)
    plain, held = model(**BATCH), run(model, Clamp().ablate("layer1"))
    assert not torch.equal(plain, held)
    for step in range(8):
        expected = held if step in (2, 3, 6, 7) else plain
        assert torch.equal(run(model, clamp, step=step), expected)
    with pytest.raises(InputError, match="window"):
        clamp.during(3, 3)


# What does not fit


@pytest.mark.parametrize(
    ("clamp", "sentence"),
    [
        (Clamp().set("layer3.v", 0.0), "no module at 'layer3.v'; did you mean"),
        (Clamp().ablate("layer1", heads=[7]), "no head 7: a layer has heads 0 to 3"),
        (Clamp().ablate("layer1", per_seed([1, 2, 3])), "chosen for 3 seeds, but there are 2"),
        (Clamp().set("layer1.v", torch.zeros(3)), r"shape \(3,\), which does not broadcast over the .*\(2, 24, 4, 5, 4\)"),
        (Clamp().set("layer1.v", 0.0, where=torch.ones(7)), r"mask .* \(7,\), which does not"),
        (Clamp().set("layer1.v", 0.0, where={-1: [9]}), "do not all lie in an axis of 4"),
        (Clamp().ablate("layer1", [0, 1]) + Clamp().ablate("layer1", [1]), "hold the same elements"),
        (Clamp().ablate("layer1") + Clamp().ablate("layer1"), "hold the same elements"),
        (Clamp().heads_of("logits", 0.0, 1), "give where= as a mask"),
        (Clamp().set("embedding", copied_from("layer2.scores", 1)), "has not flowed yet"),
    ],
)  # fmt: skip
def test_a_clamp_that_does_not_fit_says_why(clamp, sentence):
    with pytest.raises(InputError, match=sentence):
        run(small_model(), clamp)


def test_clamps_on_disjoint_heads_or_windows_do_not_overlap():
    model = small_model()
    run(model, Clamp().ablate("layer1", [0, 1]) + Clamp().ablate("layer1", [2]))
    run(model, Clamp().ablate("layer1").during(0, 5) + Clamp().ablate("layer1").during(5), step=7)


def test_what_cannot_be_meant_is_refused_when_it_is_said():
    for make in (previous_token, induction):
        with pytest.raises(InputError, match=r"lies in \[0, 1\], got 1.5"):
            make(1.5)
    with pytest.raises(InputError, match="temperature"):
        matching(-1)
    with pytest.raises(InputError, match=r"layer2\.head3"):
        Clamp().pattern("second.head1", induction())
    with pytest.raises(InputError, match="one head"):
        copied_from("layer2.scores", [1, 2])
    with pytest.raises(InputError, match="did you mean match"):
        subcircuit("mach")
    with pytest.raises(InputError, match="layer 2 or later"):
        perfect_previous_tokens(1)
    with pytest.raises(InputError, match="one choice for each"):
        per_seed([])


def test_a_row_that_is_masked_in_full_is_an_error():
    model = small_model()
    clamp = Clamp().heads_of("layer2.scores", -math.inf, 1)
    with pytest.raises(InputError, match="masked in full"), Clamped(model, clamp) as clamped:
        clamped.check(**BATCH)


def test_masks_hold_in_half_precision():
    model = small_model().to(torch.bfloat16)
    batch = {**BATCH, "examples": BATCH["examples"].bfloat16()}
    for name in SUBCIRCUITS:
        assert (
            losses_by_seed(run(model, subcircuit(name, head=1), batch).float(), batch["labels"])
            .isfinite()
            .all()
        )


def test_a_node_that_stays_silent_is_an_error():
    model = Other()
    model.extra = nn.Identity()
    with (
        pytest.raises(AxonalError, match="nothing flowed through extra"),
        Clamped(model, Clamp().set("extra", 0.0)) as clamped,
    ):
        clamped(torch.randn(1, 2, 3))


def test_evaluation_with_the_copy_clamp_chooses_between_the_labels_shown():
    found = evaluate(small_model(), TASK.sample("train", 400), subcircuit("copy", head=1))
    assert found.accuracy.tolist() == pytest.approx([0.5, 0.5], abs=0.15)
