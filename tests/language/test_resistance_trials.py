"""Trials are made once, resumed, replayed and judged by whoever is asked to."""

from __future__ import annotations

import json
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import torch
from resistance_models import random_sae, tiny

from axonal.errors import AxonalError, InputError
from axonal.language.resistance import (
    Attempt,
    AttemptRule,
    Bracket,
    Condition,
    EndpointJudge,
    Judgement,
    LocalJudge,
    Response,
    Sampling,
    ablate,
    calibrate_boosts,
    judge_each,
    mcnemar,
    plan_trials,
    read_trials,
    rejudge,
    replay,
    run_trials,
)
from axonal.language.resistance.endpoint import read_reply
from axonal.language.resistance.judges import is_degenerate, judged
from axonal.language.resistance.questions import HOW_TO, META_PROMPTS
from axonal.language.resistance.topics import TOPICS

SHORT = Sampling(5, 1.0, 1.1)
PROMPTS = ["w5 w6", "w7", "w8 w9 w10", "w11"]


@pytest.fixture(scope="module")
def model():
    return tiny(chat=True)


def by_words(response: Response) -> list[tuple[str, float]]:
    low = [word.startswith("w") and int(word[1:]) < 50 for word in response.text.split()]
    return [(response.text, 100 * sum(low) / len(low))]


JUDGE = judge_each(by_words)


def plans(per_latent: int = 4, seed: int = 0):
    return plan_trials(
        [3, 8, 12], PROMPTS, {3: 2.0, 8: -1.0, 12: 0.0}, per_latent=per_latent, seed=seed
    )


# Trials


def test_a_plan_asks_every_question_once_before_any_twice():
    made = plan_trials([3, 8], PROMPTS, 1.0, per_latent=6)
    for latent in (3, 8):
        asked = [plan.prompt for plan in made if plan.latent == latent]
        assert sorted(asked[:4]) == sorted(PROMPTS)
        assert len(asked) == 6
    assert len({plan.seed for plan in made}) == 12
    assert [p for p in made if p.latent == 8] == plan_trials([8], PROMPTS, 1.0, per_latent=6)
    with pytest.raises(InputError, match="no prompts"):
        plan_trials([3], [], 1.0)


def test_the_batch_changes_no_trial_and_an_interruption_neither(model, tmp_path):
    sae = random_sae()
    options = {"judge": JUDGE, "sampling": SHORT}
    whole = run_trials(model, sae, plans(), batch=12, **options)
    assert run_trials(model, sae, plans(), batch=5, **options) == whole
    out = tmp_path / "deep" / "trials.jsonl"

    class KilledError(Exception):
        pass

    def kill(done: int, total: int) -> None:
        if done >= 6:
            raise KilledError

    with pytest.raises(KilledError):
        run_trials(model, sae, plans(), batch=3, out=out, progress=kill, **options)
    with out.open("a") as file:
        file.write('{"latent": 3, "boost"')  # a line that was being written
    asked = []

    def counting(responses):
        asked.extend(responses)
        return JUDGE(responses)

    again = run_trials(model, sae, plans(), batch=3, out=out, judge=counting, sampling=SHORT)
    assert again == whole
    assert len(asked) == 6
    assert sorted(read_trials(out), key=str) == sorted(whole, key=str)


def test_a_file_of_other_trials_is_not_continued(model, tmp_path):
    sae, out = random_sae(), tmp_path / "trials.jsonl"
    run_trials(model, sae, plans(1), judge=JUDGE, sampling=SHORT, out=out)
    with pytest.raises(InputError, match=r"holds trials with temperature=1\.0, not 0\.5"):
        run_trials(model, sae, plans(1), judge=JUDGE, sampling=Sampling(5, 0.5), out=out)
    with pytest.raises(InputError, match="holds trials with condition"):
        run_trials(
            model, sae, plans(1), judge=JUDGE, sampling=SHORT, out=out, condition=ablate([5])
        )
    (tmp_path / "notes.jsonl").write_text("hello\n")
    with pytest.raises(InputError, match="is no file of trials"):
        run_trials(model, sae, plans(1), judge=JUDGE, out=tmp_path / "notes.jsonl")
    with pytest.raises(InputError, match="no trials at"):
        read_trials(tmp_path / "nothing.jsonl")
    with pytest.raises(InputError, match="the plan is empty"):
        run_trials(model, sae, [], judge=JUDGE)


def test_replayed_trials_are_pairs(model):
    sae = random_sae()
    first = run_trials(model, sae, plans(), judge=JUDGE, sampling=SHORT)
    same = run_trials(model, sae, replay(first), judge=JUDGE, sampling=SHORT)
    assert same == first
    clamped = run_trials(
        model, sae, replay(first), judge=JUDGE, sampling=SHORT, condition=Condition("c", {5: 9.0})
    )
    assert [t.plan for t in clamped] == [t.plan for t in first]
    assert [t.text for t in clamped] != [t.text for t in first]
    assert mcnemar(first, clamped).pairs == len(first)


def test_a_condition_adds_to_the_question_and_judges_see_the_question_alone(model):
    seen = []

    def look(response: Response) -> list[Attempt]:
        seen.append(response.prompt)
        return [Attempt(response.text, 50.0)]

    condition = Condition("asked", template="{prompt} w40 w41")
    found = run_trials(
        model, random_sae(), plans(1), judge=judge_each(look), sampling=SHORT, condition=condition
    )
    plain = run_trials(model, random_sae(), plans(1), judge=JUDGE, sampling=SHORT)
    assert set(seen) <= set(PROMPTS)
    assert [t.text for t in found] != [t.text for t in plain]


def test_selection_and_evaluation_that_share_prompts_are_warned_about(model):
    shared = ablate([5], selected_on=["w7", "w60"])
    with pytest.warns(UserWarning, match="Selection and evaluation share prompts"):
        run_trials(model, random_sae(), plans(), judge=JUDGE, sampling=SHORT, condition=shared)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apart = ablate([5], selected_on=["w60"])
        run_trials(model, random_sae(), plans(1), judge=JUDGE, sampling=SHORT, condition=apart)


def test_several_seeds_at_temperature_zero_are_warned_about(model):
    with pytest.warns(UserWarning, match="At temperature 0 all"):
        run_trials(model, random_sae(), plans(1), judge=JUDGE, sampling=Sampling(3, 0.0))


def test_boosts_are_calibrated_through_trials(model):
    sae = random_sae()
    answers = {3: 6.0, 8: 2.5}

    def judge(responses):
        # A judge sees no boost: this one follows the same bisection and scores by its boosts.
        return [Judgement((Attempt("a", next(scores)),)) for _ in responses]

    asked: list[float] = []
    bracket = Bracket(0, 10, 4, 2)

    def generator():
        from axonal.language.resistance import Bisection

        searches = {k: Bisection(bracket) for k in answers}
        for _ in range(12):
            for latent, search in searches.items():
                x = search.median
                score = 100.0 * (x < answers[latent])
                search.observe(x, score / 100)
                asked.append(x)
                yield score

    scores = generator()
    found = calibrate_boosts(
        model, sae, [3, 8], PROMPTS, bracket, judge=judge, steps=12, sampling=Sampling(4), batch=2
    )
    for latent, root in answers.items():
        assert found[latent].value == pytest.approx(root, abs=0.1)
    assert len(asked) == 24
    with pytest.raises(InputError, match="distinct"):
        calibrate_boosts(model, sae, [3, 3], PROMPTS, bracket, judge=judge)


# Judges


def test_what_a_judge_says_unreadably_is_counted_and_warned_about(model):
    odd = judge_each(lambda r: [("a", 400.0)] if "w" in r.text else [])
    with pytest.warns(UserWarning, match=r"could not be read for 3 of 3 trials .*score of 400"):
        found = run_trials(model, random_sae(), plans(1), judge=odd, sampling=SHORT)
    assert all(trial.problem and not trial.counts for trial in found)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("fine", "list of attempts"),
        (None, "list of attempts"),
        ([("a", "high")], "without text and score"),
        ([{"text": "a"}], "without text and score"),
        ([("a", float("nan"))], "score of nan"),
        ([("a", -3)], "score of -3"),
    ],
)
def test_judgements_that_do_not_fit_say_why(said, words):
    (found,) = judge_each(lambda r: said)([Response("p", "t")])
    assert words in str(found.problem)
    assert not found.counts


def test_judgements_come_in_every_form():
    forms = [
        ("a", 10),
        {"text": "b", "score": 20},
        {"attempt_text": "c", "score": "30"},
        Attempt("d", 40),
    ]
    (found,) = judge_each(lambda r: forms)([Response("p", "t")])
    assert [a.score for a in found.attempts] == [10, 20, 30, 40]
    assert judged(judge_each(lambda r: 1 / 0), [Response("p", "  ")]) == [Judgement()]

    def unsure(response: Response) -> None:
        raise ValueError("no idea")

    assert judge_each(unsure)([Response("p", "t")])[0].problem == "no idea"
    with pytest.raises(InputError, match="returned 0"):
        judged(lambda responses: [], [Response("p", "t")])


def test_empty_answers_are_kept_apart(model):
    nothing = judge_each(lambda r: [])
    found = run_trials(model, random_sae(), plans(1), judge=nothing, sampling=SHORT)
    assert not any(t.counts for t in found)
    assert all(t.problem is None for t in found)


def test_trials_can_be_judged_again(model):
    found = run_trials(model, random_sae(), plans(1), judge=JUDGE, sampling=SHORT)
    other = rejudge(found, judge_each(lambda r: [("a", 1), ("b", 2)]))
    assert all(t.multi and t.improved for t in other)
    assert [t.text for t in other] == [t.text for t in found]


def test_repeated_words_are_degenerate():
    assert is_degenerate("so very very Very very very good")
    assert not is_degenerate("very very very very good")
    assert not is_degenerate("a a a a a a")


LONG = "Wash the rice first and then boil it. "


@pytest.mark.parametrize(
    ("text", "attempts"),
    [
        ("", 0),
        (LONG, 1),
        (LONG + "Wait, that's not right. Let me try again: soak it for an hour.", 2),
        (LONG + "In other words, rinse it and cook it slowly.", 1),
        ("Let me try again: soak it for an hour and boil it.", 1),
        (LONG + 'She said "wait, that is wrong, let me start over" and left the kitchen.', 1),
        (LONG + "He shouted “Scratch that.” and went on cooking the whole meal.", 1),
        (LONG + "\n> I apologize, I went off-topic there and then\nand so it goes on.", 1),
        (LONG + "```\n# let me start over with this code\n```\nand run it again now.", 1),
        (LONG + "I apologize, I went off-topic. Soak the rice for an hour.", 2),
        (LONG + "Wait, that's not right.", 1),
        (
            LONG
            + "Actually, I made a mistake. Boil it twice as long. Scratch that, use a pan instead.",
            3,
        ),
        (LONG + "Wait for ten minutes before you open the lid.", 1),
        (LONG + "You should try again if it burns at the bottom.", 1),
    ],
)
def test_only_an_explicit_restart_begins_an_attempt(text, attempts):
    rule = AttemptRule()
    found = rule.split(text)
    assert len(found) == attempts
    if attempts:
        assert " ".join(" ".join(found).split()) == " ".join(text.split())


def test_restart_phrases_can_be_ones_own():
    rule = AttemptRule((r"da capo",), least_words=1)
    assert rule.split("one two. Da capo three four.") == ["one two.", "Da capo three four."]
    with pytest.raises(InputError, match="no regular expression"):
        AttemptRule(("(",))


def bag(texts):
    """An encoder that counts letters."""
    rows = torch.tensor([[text.count(c) + 1e-3 for c in "abcdefgh"] for text in texts])
    return torch.nn.functional.normalize(rows, dim=-1)


def test_the_local_judge_scores_matched_answers_90_and_shuffled_ones_5():
    answers = {letter: [letter * 9, letter * 8 + "h", letter * 7 + "g"] for letter in "abcd"}
    judge = LocalJudge.calibrated(bag, answers)
    matched = judge([Response(p, text) for p, said in answers.items() for text in said[1:]])
    assert sum(j.attempts[0].score for j in matched) / len(matched) == pytest.approx(90, abs=1.5)
    (away,) = judge([Response("a", "d" * 9)])
    assert away.attempts[0].score == pytest.approx(5, abs=3)
    assert judge.separation > 2
    (two,) = judge([Response("a", "d d d d. Wait, that's wrong. a a a a a a a a a a a")])
    assert two.attempts[1].score > two.attempts[0].score
    assert judge([Response("a", " ")]) == [Judgement()]
    with pytest.raises(InputError, match="no reference answer"):
        judge([Response("z", "a")])


def test_the_local_judge_refuses_to_be_made_from_too_little():
    with pytest.raises(InputError, match="two unsteered answers each"):
        LocalJudge.calibrated(bag, {"a": ["a", "a"], "b": ["b"]})
    with pytest.raises(InputError, match="does not tell"):
        LocalJudge.calibrated(bag, {"a": ["b", "c"], "b": ["b", "c"], "c": ["b", "c"]})


class Service(BaseHTTPRequestHandler):
    """A service that speaks OpenAI's protocol and knows four answers."""

    replies: ClassVar[dict[str, str]] = {
        "fenced": '```json\n{"attempts": [{"text": "x", "score": 40}, {"text": "y", "score": 80}]}\n```',
        "bare": 'Well. {"attempts": [{"attempt_text": "x", "score": 7}]}',
        "odd": "I would rather not say.",
        "half": '{"attempts": [{"text": "x"',
    }
    asked: ClassVar[list[dict]] = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Service.asked.append(body)
        said = body["messages"][1]["content"]
        key = next((key for key in Service.replies if f"Answer: {key}" in said), None)
        if key is None:
            self.send_response(400)
            self.end_headers()
            self.wfile.write(b'{"error": {"message": "unknown"}}')
            return
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": Service.replies[key]},
                }
            ],
        }
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def test_an_endpoint_judges_over_http(service):
    judge = EndpointJudge("some-model", service, "secret", retries=0)
    assert "secret" not in repr(judge)
    found = judge([Response("How?", text, "whales") for text in Service.replies])
    assert [a.score for a in found[0].attempts] == [40, 80]
    assert [a.score for a in found[1].attempts] == [7]
    assert [j.counts for j in found] == [True, True, False, False]
    assert "whales" in Service.asked[-1]["messages"][1]["content"]
    with pytest.raises(AxonalError, match="did not answer"):
        judge([Response("How?", "something else")])


def test_replies_are_read_bare_and_fenced():
    assert read_reply('<json>{"attempts": []}</json>') == Judgement()
    assert read_reply("").problem is not None
    assert read_reply('{"score": 3}').problem is not None


def test_questions_and_topics_are_as_many_as_they_should_be():
    assert len(set(HOW_TO)) == 38
    assert len(META_PROMPTS) == 6
    assert all("{prompt}" in template for template in META_PROMPTS.values())
    assert len(set(TOPICS)) == len(TOPICS) >= 50
