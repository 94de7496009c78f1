"""Reading replies: what is an answer, what is a refusal, what cannot be read; probabilities by hand."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rl.preferences.chat.answer import Said, read
from robot_rl.preferences.chat.probability import choice_probability
from robot_rl.preferences.chat.reply import Unreadable, read_text, read_usage, short, tidy

ANSWER = '{"evidence": "it is open", "choice": "second"}'


def reply(content, finish="stop", **message):
    return {"choices": [{"finish_reason": finish, "message": {"content": content, **message}}]}


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        f"  {ANSWER}\n",
        f"```json\n{ANSWER}\n```",
        f"```\n{ANSWER}\n```",
        f"Sure! Here it is:\n{ANSWER}\nI hope that helps {{really}}.",
        f"<think>first? {{'choice'}}</think>\n{ANSWER}",
        f'{{"note": 1}}\n{ANSWER}',
        f"{ANSWER}\n{ANSWER}",
        '{"choice": " Second. ", "evidence": "it is open", "more": 1}',
        [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": ANSWER}],
    ],
)
def test_a_choice_however_it_is_wrapped(text):
    assert read(reply(text), "choice") == Said("second", "it is open")


@pytest.mark.parametrize(
    ("word", "choice"),
    [("first", "first"), ("TIE", "tie"), ("cannot tell", "cannot_tell"), ("cannot-tell.", "cannot_tell")],
)
def test_choices_as_they_are_spelled(word, choice):
    assert read(reply(json.dumps({"choice": word})), "choice") == Said(choice, "")
    assert read(reply(word), "choice") == Said(choice, "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The second one.",
        '{"choice": "third"}',
        '{"choice": 2}',
        '{"choice": null}',
        "[]",
        "{}",
        '{"evidence": "first"}',
        '{"choice": "first"} no, {"choice": "second"}',
        '{"evidence": "it is open", "choi',
        "{" * 100_000,
        "[" * 100_000,
        '{"a":' * 50_000,
    ],
)
def test_what_is_no_answer_is_malformed(text):
    found = read(reply(text), "choice")
    assert isinstance(found, Unreadable) and not found.refused
    assert found.reason.startswith("malformed: ") and len(found.reason) < 200


@pytest.mark.parametrize(
    ("content", "starts"),
    [
        (reply(None, refusal="I will not"), "refused: I will not"),
        (reply(None, finish="content_filter"), "refused: finish_reason content_filter"),
        (reply("I'm sorry, but I can't assist with that."), "refused: I'm sorry"),
        (reply("I cannot help with images of people."), "refused: I cannot help"),
    ],
)
def test_refusals(content, starts):
    found = read(content, "choice")
    assert isinstance(found, Unreadable) and found.refused and found.reason.startswith(starts)


def test_a_reply_that_was_cut_off_says_so():
    for content in ('{"evidence": "it', None):
        found = read(reply(content, finish="length"), "choice")
        assert found.reason.startswith("malformed, cut off at max_tokens") and not found.refused


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("0", "first"),
        ("1.", "second"),
        ("-1", "cannot_tell"),
        ("By the text 0 looked likely, but:\n\n**1**", "second"),
        ("Answer: -1", "cannot_tell"),
        ("'0'", "first"),
    ],
)
def test_numbers(text, choice):
    assert read(reply(text), "number") == Said(choice, "")


@pytest.mark.parametrize("text", ["", "2", "0 or 1", "10", "0.5", "picture1", "+1", "-10", "1,5", "first"])
def test_what_is_no_number(text):
    assert isinstance(read(reply(text), "number"), Unreadable)


@pytest.mark.parametrize(
    "content", [{}, {"choices": None}, {"choices": []}, {"choices": ["x"]}, {"choices": [{}]}]
)
def test_envelopes_without_a_message(content):
    assert isinstance(read_text(content), Unreadable)
    assert choice_probability(content, "choice") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_subnormal=False) | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "message", "content", "logprobs", "token", "top_logprobs", "logprob", "usage",
             "refusal", "prompt_tokens", "total_tokens", "finish_reason", "text", "type"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_nothing_that_a_server_sends_breaks_the_reading(value):
    for content in ({"choices": [value], "usage": value}, value if isinstance(value, dict) else {}):
        for answers in ("choice", "number"):
            assert isinstance(read(content, answers), (Said, Unreadable))
            p = choice_probability(content, answers)
            assert p is None or 0 <= p <= 1
        usage = read_usage(content)
        assert usage is None or 0 <= usage.tokens < 2**40


def test_evidence_that_no_store_takes():
    found = read(
        reply(json.dumps({"evidence": "a\ud800b\x00c\x1b[31m" + "x" * 9999, "choice": "tie"})), "choice"
    )
    assert found.evidence.startswith("a?b c [31mx") and len(found.evidence) == 2000
    found.evidence.encode()
    assert read(reply('{"evidence": ["a"], "choice": "tie"}'), "choice").evidence == '["a"]'


def test_texts_on_one_line():
    assert short("a\n b\t c\x1b") == "a b c"
    assert short("x" * 300) == "x" * 157 + "..."
    assert tidy("two\nlines ") == "two\nlines"


def test_usage():
    def told(**usage):
        return read_usage({"usage": usage})

    assert told(prompt_tokens=3, completion_tokens=4, total_tokens=7).tokens == 7
    thinking = told(prompt_tokens=3, completion_tokens=4, total_tokens=20)
    assert (thinking.input, thinking.output) == (3, 17)
    assert told(total_tokens=5).output == 5
    for usage in (None, 3, {}, {"prompt_tokens": "many"}, {"prompt_tokens": -3}, {"prompt_tokens": True}):
        assert read_usage({"usage": usage}) is None


def token(text, **alternatives):
    top = [{"token": t, "logprob": math.log(p)} for t, p in alternatives.items()]
    return {"token": text, "logprob": top[0]["logprob"] if top else 0.0, "top_logprobs": top}


def with_tokens(*tokens):
    return {"choices": [{"logprobs": {"content": list(tokens)}}]}


def test_probability_by_hand():
    """0.3 on first, 0.1 on second, the rest elsewhere: 0.1 / 0.4."""
    head = [token(t) for t in ('{"', "evidence", '":"first', ' "', ', "', "choice", '":', ' "')]
    tokens = with_tokens(*head, token("first", first=0.3, second=0.1, tie=0.6), token('"}'))
    assert choice_probability(tokens, "choice") == pytest.approx(0.25)


def test_probability_where_words_are_cut_otherwise():
    """A choice may share its token with the quote before, be cut into parts, or come in several spellings."""
    shared = {"token": ': "fi', "logprob": math.log(0.2)}
    shared["top_logprobs"] = [
        {"token": ': "fi', "logprob": math.log(0.2)},
        {"token": ': "sec', "logprob": math.log(0.2)},
        {"token": ': "s', "logprob": math.log(0.4)},
        {"token": ': "', "logprob": math.log(0.1)},  # says nothing yet
        {"token": " : ", "logprob": math.log(0.05)},
    ]
    tokens = with_tokens(token('{"choice"'), shared, token('rst"}'))
    assert choice_probability(tokens, "choice") == pytest.approx(0.75)


def test_probability_of_a_number():
    tokens = with_tokens(
        token("By"), token(" text"), token("\n"), token("1", **{"1": 0.6, "0": 0.2, "-": 0.2})
    )
    assert choice_probability(tokens, "number") == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("word", "choice"), [("yes", "second"), ("No", "first"), ("cannot tell", "cannot_tell")]
)
def test_yes_and_no(word, choice):
    assert read(reply(json.dumps({"evidence": "", "choice": word})), "yes_no") == Said(choice, "")
    assert isinstance(read(reply(json.dumps({"choice": "second"})), "yes_no"), Unreadable)


def test_probability_of_yes():
    top = [{"token": t, "logprob": math.log(p)} for t, p in (("yes", 0.6), ("no", 0.2), ("cannot", 0.2))]
    tokens = [{"token": t, "logprob": 0.0} for t in ('{"', "choice", '": "', "yes", '"}')]
    tokens[3] |= {"logprob": math.log(0.6), "top_logprobs": top}
    found = {"choices": [{"message": {"content": '{"choice": "yes"}'}, "logprobs": {"content": tokens}}]}
    assert choice_probability(found, "yes_no") == pytest.approx(0.75)  # 0.6 / (0.6 + 0.2)


def test_the_written_token_counts_though_it_is_not_listed():
    tokens = with_tokens(
        token('{"choice":"'), {"token": "second", "logprob": math.log(0.5), "top_logprobs": []}
    )
    assert choice_probability(tokens, "choice") == 1.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3.0, "x", None])
def test_log_probabilities_that_are_none(bad):
    entries = [{"token": "first", "logprob": bad}, {"token": "second", "logprob": bad}]
    tokens = with_tokens(token('{"choice":"'), {"token": "first", "logprob": bad, "top_logprobs": entries})
    assert choice_probability(tokens, "choice") is None
    nothing = with_tokens(token('{"choice":"'), token("first", first=1e-300, second=1e-300))
    assert choice_probability(nothing, "choice") == pytest.approx(0.5)


def test_a_tie_has_no_probability_whatever_the_log_probabilities():
    content = reply('{"choice": "tie"}')
    content["choices"][0] |= with_tokens(token('{"choice": "'), token("tie", tie=0.6, first=0.4))["choices"][
        0
    ]
    assert read(content, "choice") == Said("tie", "", None)
