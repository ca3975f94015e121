"""Prompt pairs fit each other, and tasks draw only words that the tokenizer keeps whole."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from axonal.errors import InputError
from axonal.language.prompts import PromptPairs, is_single_token
from axonal.language.relevance import accuracy
from axonal.language.tasks import IOI_TEMPLATES, SVA_TEMPLATES, ioi, sva


@pytest.fixture(scope="module")
def tokenizer(smollm2):
    return smollm2.tokenizer


@pytest.mark.parametrize("template", range(len(IOI_TEMPLATES)))
def test_ioi_pairs_differ_in_the_repeated_name_only(tokenizer, template):
    pairs = ioi(tokenizer, 12, seed=3, template=template)
    differences = (pairs.clean != pairs.corrupt).sum(dim=1)
    assert differences.tolist() == [1] * 12
    assert len(set(pairs.lengths.tolist())) == 1
    assert pairs.tokens[int(pairs.first_difference[0])] == "[S]"
    for row in range(12):
        at = int(pairs.first_difference[row])
        # The clean prompt repeats the distractor, the corrupted one the answer.
        assert pairs.clean[row, at] == pairs.distractors[row]
        assert pairs.corrupt[row, at] == pairs.answers[row]
        assert pairs.answers[row] in pairs.clean[row, :at]
        assert pairs.distractors[row] in pairs.clean[row, :at]


@pytest.mark.parametrize("structure", SVA_TEMPLATES)
def test_agreement_pairs_flip_the_number_of_the_subject(tokenizer, structure):
    pairs = sva(tokenizer, 8, seed=0, structure=structure)
    assert (pairs.clean != pairs.corrupt).sum(dim=1).tolist() == [1] * 8
    assert pairs.first_difference.tolist() == [1] * 8
    answers = [tokenizer.decode([i]) for i in pairs.answers]
    singular = {" is", " has", " was"}
    assert [answer in singular for answer in answers] == [True, False] * 4


def test_the_same_seed_draws_the_same_prompts_and_another_does_not(tokenizer):
    first, again, other = (ioi(tokenizer, 6, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(first.clean, again.clean)
    assert not torch.equal(first.clean, other.clean)


def test_smollm2_does_the_tasks(smollm2):
    preferred, predicted = accuracy(smollm2, ioi(smollm2.tokenizer, 16, seed=0))
    assert preferred.float().mean() > 0.95
    assert predicted.float().mean() > 0.8
    preferred, _ = accuracy(smollm2, sva(smollm2.tokenizer, 16, seed=0))
    assert preferred.float().mean() > 0.8


def test_words_that_the_tokenizer_splits_are_not_drawn():
    sentence = "When and went to the shop park , gave book ball [UNK] John Mary"
    words = sentence.split()
    vocabulary = {word: number for number, word in enumerate(words)}
    core = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    core.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token="[UNK]", pad_token="[UNK]")
    pairs = ioi(tokenizer, 4, seed=0)
    names = {tokenizer.convert_tokens_to_ids(name) for name in ("John", "Mary")}
    assert set(pairs.answers.tolist()) <= names
    with pytest.raises(InputError, match="does not know the answer ' Martin'"):
        PromptPairs.from_text(tokenizer, ["When John"], ["When Mary"], [" Martin"], [" Mary"])
    with pytest.raises(InputError, match="splits nearly all nouns"):
        sva(tokenizer, 2, seed=0)


def test_pairs_swap_and_join():
    pairs = PromptPairs(
        clean=torch.tensor([[1, 2, 3]]),
        corrupt=torch.tensor([[1, 4, 3]]),
        lengths=torch.tensor([3]),
        answers=torch.tensor([7]),
        distractors=torch.tensor([8]),
        tokens=("a", "b", "c"),
    )
    both = pairs.both_ways()
    assert both.clean.tolist() == [[1, 2, 3], [1, 4, 3]]
    assert both.answers.tolist() == [7, 8]
    assert both[1:].distractors.tolist() == [7]
    assert both.swapped().clean.tolist() == both.corrupt.tolist()


def test_prompts_of_unequal_length_are_refused_with_both_lengths_and_the_first_difference(
    tokenizer,
):
    message = (
        r"Pair 1: the clean prompt has 4 tokens and the corrupted one 5, .* first differ at "
        r"position 1 \(' dogs' against ' big'\)"
    )
    with pytest.raises(InputError, match=message):
        PromptPairs.from_text(
            tokenizer,
            ["The cat sat on", "The dogs sat on"],
            ["The dog sat on", "The big dogs sat on"],
            [" the", " the"],
            [" a", " a"],
        )


def test_an_answer_of_several_tokens_is_refused_with_its_pieces(tokenizer):
    texts = (["The cat"], ["The dog"], [" Featherstonehaugh"], [" sat"])
    with pytest.raises(InputError, match=r"is \d+ tokens \(\[' F.*first_token=True"):
        PromptPairs.from_text(tokenizer, *texts)
    pairs = PromptPairs.from_text(tokenizer, *texts, first_token=True)
    assert tokenizer.decode([pairs.answers[0]]).startswith(" F")
    assert not is_single_token(tokenizer, "Featherstonehaugh")


def test_prompts_that_do_not_differ_are_refused(tokenizer):
    with pytest.raises(InputError, match="got pair 0 with itself"):
        PromptPairs.from_text(tokenizer, ["The cat"], ["The cat"], [" sat"], [" ran"])


def test_counts_that_do_not_match_are_refused(tokenizer):
    with pytest.raises(InputError, match=r"got \[1, 2, 1, 1\]"):
        PromptPairs.from_text(tokenizer, ["The"], ["A", "An"], [" sat"], [" ran"])


def test_shapes_that_do_not_match_are_refused():
    good = {
        "clean": torch.tensor([[1, 2]]),
        "corrupt": torch.tensor([[1, 3]]),
        "lengths": torch.tensor([2]),
        "answers": torch.tensor([4]),
        "distractors": torch.tensor([5]),
        "tokens": ("a", "b"),
    }
    PromptPairs(**good)
    with pytest.raises(InputError, match=r"got \(1, 2\) and \(1, 3\)"):
        PromptPairs(**(good | {"corrupt": torch.tensor([[1, 3, 2]])}))
    with pytest.raises(InputError, match="answers must hold one number for each of the 1 pairs"):
        PromptPairs(**(good | {"answers": torch.tensor([4, 5])}))
    with pytest.raises(InputError, match="no pairs"):
        PromptPairs(**{k: v[:0] if k != "tokens" else v for k, v in good.items()})


def test_templates_and_structures_that_do_not_exist_are_refused(tokenizer):
    with pytest.raises(InputError, match="template must be 0 to 5; got 6"):
        ioi(tokenizer, 1, seed=0, template=6)
    with pytest.raises(InputError, match="structure must be one of simple"):
        sva(tokenizer, 1, seed=0, structure="nested")
