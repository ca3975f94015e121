"""Prompts: files, chats, plain text, hashes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from axonal.errors import InputError
from axonal.language.steering import LogitGap, Prompts, collect, fit, read_prompts
from axonal.language.steering.prompts import batches
from steering_models import make_tokenizer, tiny


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_json_lines_holds_texts_conversations_and_labels(tmp_path) -> None:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "the film"}]
    lines = [{"prompt": "the book", "label": "calm"}, {"messages": talk}]
    path = written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    prompts = read_prompts(path)
    assert prompts.items == ("the book", tuple(talk))
    assert prompts.labels == ("calm", None)
    assert prompts.name == "a.jsonl"


def test_a_text_file_holds_a_prompt_a_line(tmp_path) -> None:
    path = written(tmp_path, "a.txt", "\ufeffthe book\n\n  the film  \n")
    assert read_prompts(path, chat="plain").items == ("the book", "the film")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "\n", "holds no prompts"),
        ("a.jsonl", '{"text": "x"}', "line 1: expected"),
        ("a.jsonl", '{"prompt": "x"}\n{"prompt": ', "line 2 is not JSON"),
        ("a.jsonl", '{"prompt": "  "}', "line 1 is empty"),
        ("a.jsonl", '{"messages": [{"role": "user"}]}', "'role' and 'content'"),
        ("a.jsonl", '{"prompt": 3}', "'role' and 'content'"),
        ("a.jsonl", "[1]", "line 1: expected"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_its_line(tmp_path, name, text, words) -> None:
    with pytest.raises(InputError, match=words):
        read_prompts(written(tmp_path, name, text))


def test_a_missing_file_and_other_bytes_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        read_prompts(tmp_path / "none.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="can't be read"):
        read_prompts(tmp_path / "b.txt")


def test_the_chat_template_wraps_prompts_where_there_is_one() -> None:
    plain, chat = make_tokenizer(), make_tokenizer(chat=True)
    prompts = Prompts(("the film",))
    assert prompts.texts(plain) == ["the film"]
    assert prompts.texts(chat) == ["user the film end assistant "]
    assert Prompts(("the film",), "plain").texts(chat) == ["the film"]
    begun = [{"role": "user", "content": "the film"}, {"role": "assistant", "content": "was"}]
    assert Prompts((begun,)).texts(chat) == ["user the film end assistant was"]


@pytest.mark.parametrize(
    "prompts",
    [Prompts(("the film",), "template"), Prompts(([{"role": "user", "content": "the film"}],))],
)
def test_a_chat_without_a_template_is_refused(prompts) -> None:
    with pytest.raises(InputError, match="has no chat template: use chat='plain'"):
        prompts.texts(make_tokenizer())
    model = tiny()
    with pytest.raises(InputError, match="has no chat template"):
        collect(model, prompts, [])


def test_a_plain_list_of_texts_serves_as_prompts_and_one_text_does_not() -> None:
    assert Prompts.of(["a b", "c d"]).items == ("a b", "c d")
    with pytest.raises(InputError, match="put it in a list"):
        Prompts.of("a b")
    with pytest.raises(InputError, match="holds no prompts"):
        Prompts.of([])
    with pytest.raises(InputError, match="did you mean template"):
        Prompts(("a b",), "templat")  # pyright: ignore[reportArgumentType]


def test_the_hash_follows_what_the_prompts_say() -> None:
    one = Prompts(("a b", "c d"))
    assert one.sha256 == Prompts(("a b", "c d"), "plain", name="other").sha256
    assert one.sha256 != Prompts(("c d", "a b")).sha256
    assert one[1:].items == ("c d",)
    assert one[0] == "a b"


def test_a_prompt_of_one_token_is_refused_because_it_is_the_first_token() -> None:
    model = tiny()
    with pytest.raises(InputError, match="prompt 2 has 1 token"):
        LogitGap(" yes", " no")(model, ["the film", "film"])


def test_batches_pad_on_the_left_and_keep_like_lengths_together() -> None:
    model = tiny()
    rows = Prompts.of(["the film", "the film was very dull", "the book"]).encode(model.tokenizer)
    made = list(batches(model, rows, 2))
    assert [chosen for chosen, _ in made] == [[0, 2], [1]]
    assert made[0][1]["attention_mask"].tolist() == [[1, 1], [1, 1]]
    ((_, batch),) = list(batches(model, rows, 3))
    assert batch["attention_mask"].tolist() == [[0, 0, 0, 1, 1]] * 2 + [[1] * 5]
    with pytest.raises(InputError, match="batch_size"):
        list(batches(model, rows, 0))


def test_the_origin_of_a_map_keeps_the_hashes_of_its_prompts() -> None:
    model = tiny()
    source, target = (
        Prompts.of(["the film was bad", "the book was bad", "the song was bad"]),
        Prompts.of(["the film was good", "the book was good", "the song was good"]),
    )
    origin = fit(model, source, target, 1, map="mean shift").origin
    assert origin.prompts == {"source": source.sha256, "target": target.sha256}
