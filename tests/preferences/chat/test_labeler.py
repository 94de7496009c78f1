"""The chat labeler against a loopback endpoint: the contract, the four outcomes, stopping and going on."""

import dataclasses
import os
import signal
import threading
import time

import numpy as np
import pytest

from robot_rl.errors import BadInput, RobotRLError
from robot_rl.preferences.chat.budget import BudgetSpent
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.run import label_pairs
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Outcome, Pair
from tests.preferences.chat.setup import FRAMES, MANY, PAIRS, config, fault, many_frames, questions
from tests.preferences.chat_server import chat_server
from tests.preferences.conformance import check_labeler


def answers(server, asked=None, frames=FRAMES, **changes):
    labeler = ChatLabeler(config(server, **changes))
    return list(labeler.label(questions() if asked is None else asked, frames))


def outcomes(given):
    return [answer.outcome for answer in given]


@pytest.mark.parametrize(
    ("behaviour", "settings"),
    [
        ({}, {}),
        ({"logprobs": True}, {"concurrency": 1}),
        ({"schema": False}, {"image_format": "jpeg"}),
        ({}, {"prompt": "two-stage-1"}),
        ({"bias": 70.0, "logprobs": True}, {"both_orders": "always"}),
        ({"rejects": ("response_format", "logprobs", "max_tokens"), "schema": False}, {"temperature": None}),
    ],
)
def test_the_contract(tmp_path, behaviour, settings):
    with chat_server(**behaviour) as server:
        check_labeler(lambda: ChatLabeler(config(server, **settings)), FRAMES, PAIRS, tmp_path)


def test_the_answers_are_about_the_pictures():
    level = {i: FRAMES(np.array([i])).mean() for i in range(12)}
    with chat_server(logprobs=True) as server:
        given = answers(server)
    for pair, answer in zip(PAIRS, given, strict=True):
        first, second = level[pair.first], level[pair.second]
        if first == second:
            assert answer.outcome is Outcome.TIE
        elif min(first, second) == 0:
            assert answer.outcome is Outcome.CANNOT_TELL
        else:
            assert answer.outcome is Outcome.PREFERENCE
            np.testing.assert_allclose(answer.p, 1 / (1 + np.exp((first - second) / 64)), atol=1e-9)
            assert answer.rationale == f"{first:.1f} against {second:.1f}"
            assert answer.latency > 0


def test_one_call_a_question_and_its_price():
    with chat_server() as server:
        given = answers(server, price_input=2.0, price_output=10.0)
        assert len(server.questions) == len(PAIRS)
    assert {answer.tokens for answer in given} == {100}
    assert {round(answer.cost, 9) for answer in given} == {(90 * 2 + 10 * 10) / 1e6}


def test_both_orders_are_one_preference():
    """With a bias for the first picture the clear pairs stay, others become ties; both calls are billed."""
    with chat_server(bias=70.0) as server:
        once = answers(server, price_input=1.0)
        both = answers(server, price_input=1.0, both_orders="always")
    assert [a.order for a in both] == ["given"] * len(PAIRS)
    for pair, one, two in zip(PAIRS, once, both, strict=True):
        gap = abs(np.diff([FRAMES(np.array([i])).mean() for i in (pair.first, pair.second)])[0])
        if one.outcome is Outcome.CANNOT_TELL:
            assert two == dataclasses.replace(one, latency=two.latency)  # the second call can change nothing
        else:
            assert two.outcome is (Outcome.PREFERENCE if gap > 70 else Outcome.TIE)
            assert (two.tokens, round(two.cost, 9)) == (200, round(2 * one.cost, 9))
    assert Outcome.PREFERENCE in outcomes(both) and outcomes(both).count(Outcome.TIE) > 1


def test_two_stages_show_the_pictures_once_and_quote_the_first_reply():
    with chat_server() as server:
        given = answers(server, prompt="two-stage-1")
        sent = server.questions
    assert len(sent) == 2 * len(PAIRS)
    with_images = [body for body in sent if isinstance(body["messages"][-1]["content"], list)]
    assert len(with_images) == len(PAIRS)
    texts = [body["messages"][-1]["content"] for body in sent if body not in with_images]
    assert all("Picture 1 has brightness" in text for text in texts)
    assert all("response_format" not in body for body in sent)
    assert {a.tokens for a in given} == {200}
    # A tie is not among its answers: what it calls -1 has no preference.
    assert given[-1].outcome is Outcome.CANNOT_TELL and "brightness" in given[-1].rationale


FAULTS = {
    "busy": 0.1, "broken": 0.1, "malformed": 0.1, "malformed_once": 0.1, "refusal": 0.1, "timeout": 0.02,
    "timeout_once": 0.02,
}  # fmt: skip


def test_every_fault_ends_in_its_own_outcome(tmp_path):
    asked = questions(MANY[:200], many_frames)
    with chat_server(faults=FAULTS) as server:
        settings = config(server, timeout=0.5, retries=1, malformed_retries=1, concurrency=64)
        met = [fault(q, many_frames, settings, FAULTS) for q in asked]
        with LabelStore(tmp_path / "labels.sqlite") as store:
            given = label_pairs(ChatLabeler(settings), asked, many_frames, store, batch_size=200)
            assert store.counts()[Outcome.FAILED] == sum(a.outcome is Outcome.FAILED for a in given)
    with chat_server() as server:
        right = answers(server, asked, many_frames)
    assert set(met) == {*FAULTS, ""}
    begins = {
        "malformed": "malformed: ",
        "refusal": "refused: I can't do that.",
        "timeout": "timed out after 0.5 s",
    }
    for name, answer, should in zip(met, given, right, strict=True):
        if name in begins:
            assert answer.outcome is Outcome.FAILED
            assert answer.error.startswith(begins[name])
            # A refusal would be refused again; on a busy machine it may have timed out once before.
            assert name == "refusal" or "2 tries" in answer.error
            assert answer.tokens == {"malformed": 200, "refusal": 100, "timeout": 0}[name]
        else:
            assert (answer.outcome, answer.p, answer.rationale) == (
                should.outcome,
                should.p,
                should.rationale,
            )


def test_a_rerun_makes_no_call_and_the_address_is_not_part_of_the_identity(tmp_path):
    path = tmp_path / "labels.sqlite"
    with chat_server() as server, LabelStore(path) as store:
        first = label_pairs(ChatLabeler(config(server)), questions(), FRAMES, store)
    with chat_server() as other, LabelStore(path) as store:
        labeler = ChatLabeler(config(other, concurrency=3, retries=1, timeout=7, budget_calls=1))
        assert label_pairs(labeler, questions(), FRAMES, store) == first
        assert other.calls == 0


@pytest.mark.parametrize("prompt", ["choice-1", "two-stage-1"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_budget_of_calls_stops_cleanly_and_a_rerun_goes_on(tmp_path, prompt, concurrency):
    calls = 2 if prompt == "two-stage-1" else 1
    with chat_server(latency=0.01) as server, LabelStore(tmp_path / "labels.sqlite") as store:
        settings = config(server, prompt=prompt, concurrency=concurrency, budget_calls=1 + 5 * calls)
        with pytest.raises(BudgetSpent) as stopped:
            label_pairs(ChatLabeler(settings), questions(), FRAMES, store, batch_size=100)
        assert server.calls == 1 + 5 * calls  # with the test question
        assert f"spent {server.calls} calls, {100 * server.calls:,} tokens" in str(stopped.value)
        assert "run the same command again" in str(stopped.value)
        assert sum(store.counts().values()) == 5 and store.counts()[Outcome.FAILED] == 0
        free = dataclasses.replace(settings, budget_calls=0)
        given = label_pairs(ChatLabeler(free), questions(), FRAMES, store)
        assert server.calls == 2 + len(PAIRS) * calls
        assert len(given) == len(PAIRS) and Outcome.FAILED not in outcomes(given)


@pytest.mark.parametrize(
    ("limits", "most"), [({"budget_tokens": 15_000}, 15_000), ({"budget_usd": 0.015}, 15_000)]
)
def test_a_budget_of_tokens_or_money_is_never_passed(limits, most):
    """One token costs a millionth of a dollar here; a call takes 100 and may take 90 + max_tokens."""
    prices = {"price_input": 1.0, "price_output": 1.0}
    with chat_server(latency=0.005) as server:
        settings = config(server, concurrency=8, max_tokens=2000, **prices, **limits)
        labeler, got = ChatLabeler(settings), []
        with pytest.raises(BudgetSpent, match="allows no further question: spent"):
            for answer in labeler.label(questions(MANY, many_frames), many_frames):
                got.append(answer)
    assert 100 * server.calls <= most
    assert 100 * server.calls > most - 3000  # and it was used: the most that one call may take is left
    assert len(got) == server.calls - 1
    assert labeler.setup.budget.used.tokens == 100 * server.calls


def test_room_that_was_not_needed_is_given_back():
    """Where the first order cannot tell, the second is not asked; its room must be free for others."""
    with chat_server() as server:
        labeler = ChatLabeler(config(server, both_orders="always", budget_calls=1000))
        given = list(labeler.label(questions(), FRAMES))
        assert outcomes(given).count(Outcome.CANNOT_TELL) == 2
        assert labeler.setup.budget.calls == server.calls == 1 + 2 * len(PAIRS) - 2
        assert labeler.setup.budget.fits(1000 - server.calls)
        assert not labeler.setup.budget.fits(1001 - server.calls)


def test_a_budget_counts_tries_that_failed():
    with chat_server(faults={"malformed": 1.0}) as server:
        labeler, got = ChatLabeler(config(server, budget_calls=8, concurrency=1)), []
        with pytest.raises(BudgetSpent):
            for answer in labeler.label(questions(), FRAMES):
                got.append(answer)
        assert server.calls == 8
    assert outcomes(got) == [Outcome.FAILED] * 3
    assert got[-1].error.endswith("the budget allows no further try")


def test_a_budget_too_small_for_the_test_question():
    with chat_server() as server:
        with pytest.raises(BudgetSpent, match="spent 0 calls"):
            list(ChatLabeler(config(server, budget_tokens=100)).label(questions(), FRAMES))
        assert server.calls == 0


def interrupted_after(server, count):
    """Press Ctrl-C once the server has answered so many."""

    def press():
        while server.calls < count:
            time.sleep(0.005)
        time.sleep(0.15)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


def test_ctrl_c_stores_what_is_answered(tmp_path):
    asked = questions(MANY[:40], many_frames)
    faults = {"timeout": 0.1}
    with chat_server(faults=faults) as server, LabelStore(tmp_path / "labels.sqlite") as store:
        settings = config(server, concurrency=8, timeout=30)
        hangs = [fault(q, many_frames, settings, faults) == "timeout" for q in asked]
        assert 0 < sum(hangs) < 8 and not hangs[0] and not hangs[-1]
        interrupted_after(server, 41)
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            label_pairs(ChatLabeler(settings), asked, many_frames, store, batch_size=100)
        assert time.monotonic() - start < 10  # it did not wait for the ones that hang
        labeler = ChatLabeler(settings)
        keys = [q.key(labeler.name, labeler.identity) for q in asked]
        stored = store.get(keys)
        assert [key not in stored for key in keys] == hangs
    with chat_server() as server:
        right = answers(server, asked, many_frames)
    for key, answer, hung in zip(keys, right, hangs, strict=True):
        assert hung or (stored[key].p, stored[key].rationale) == (answer.p, answer.rationale)


def test_ctrl_c_while_frames_are_read_stores_what_came_meanwhile(tmp_path):
    reads = []

    def frames(indices):
        reads.append(indices)
        if len(reads) == 2:
            while server.calls < 33:
                time.sleep(0.01)
            time.sleep(0.3)
            raise KeyboardInterrupt
        return many_frames(indices)

    asked = questions(MANY[:100], many_frames)
    with chat_server() as server, LabelStore(tmp_path / "labels.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            label_pairs(ChatLabeler(config(server)), asked, frames, store, batch_size=100)
        assert sum(store.counts().values()) == 32 and store.counts()[Outcome.FAILED] == 0


def test_stopping_early_ends_the_requests():
    with chat_server(latency=0.02, faults={"timeout": 0.2}) as server:
        settings = config(server, concurrency=2, timeout=60)
        asked = questions(MANY[:30], many_frames)
        hangs = [fault(q, many_frames, settings, {"timeout": 0.2}) != "" for q in asked]
        first = [q for q, hung in zip(asked, hangs, strict=True) if not hung][0]
        asked = [first, *(q for q, hung in zip(asked, hangs, strict=True) if hung), *asked]
        stream = ChatLabeler(settings).label(asked, many_frames)
        start = time.monotonic()
        next(iter(stream))
        stream.close()
        assert time.monotonic() - start < 20  # it waited for none that hangs
        so_far = server.calls
        time.sleep(0.2)
        assert server.calls <= so_far + 2 < len(asked)
    assert not [thread for thread in threading.enumerate() if thread.name == "chat"]


def test_never_more_in_flight_than_asked_and_all_of_it_used():
    with chat_server(latency=0.05) as server:
        answers(server, questions(MANY[:60], many_frames), many_frames, concurrency=7)
        assert server.most_in_flight == 7


def test_answers_come_in_the_order_of_the_questions_though_the_first_is_slow():
    asked = questions(MANY[:100], many_frames)
    with chat_server(faults={"timeout_once": 0.02}) as server:
        settings = config(server, timeout=0.4)
        slow = [fault(q, many_frames, settings, {"timeout_once": 0.02}) != "" for q in asked]
        asked = [q for q, s in zip(asked, slow, strict=True) if s] + [
            q for q, s in zip(asked, slow, strict=True) if not s
        ]
        assert any(slow)
        given = list(ChatLabeler(settings).label(asked, many_frames))
        order = [index for index, _ in ChatLabeler(settings).answers(asked, many_frames)]
    with chat_server() as server:
        assert [a.rationale for a in answers(server, asked, many_frames)] == [a.rationale for a in given]
    assert sorted(order) == list(range(len(asked)))


def test_an_unreadable_frame_does_not_lose_what_was_asked_before(tmp_path):
    asked = questions(MANY[:100], many_frames)

    def frames(indices):
        if 3 in indices and 4 in indices and len(indices) < 60 and frames.reads > 1:
            raise BadInput("episode 3: the video ends early")
        frames.reads += 1
        return many_frames(indices)

    frames.reads = 0
    with chat_server(latency=0.05) as server, LabelStore(tmp_path / "labels.sqlite") as store:
        with pytest.raises(BadInput, match="the video ends early"):
            label_pairs(ChatLabeler(config(server)), asked, frames, store, batch_size=100)
        assert store.counts()[Outcome.PREFERENCE] > 30 and store.counts()[Outcome.FAILED] == 0
        assert server.calls - 1 == sum(store.counts().values())


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "does not accept a request without a key; name its variable in api_key_env"),
        (402, "HTTP 402: no more; wait, or look at the limits and the credit of your account"),
        (404, "HTTP 404: no more; nothing there takes chats"),
    ],
)
def test_an_endpoint_that_refuses_in_the_middle_ends_the_run(tmp_path, status, message):
    with chat_server(only_answers=9, then=status) as server, LabelStore(tmp_path / "labels.sqlite") as store:
        settings = config(server, concurrency=2)
        with pytest.raises(BadInput, match=message):
            label_pairs(ChatLabeler(settings), questions(), FRAMES, store, batch_size=100)
        assert sum(store.counts().values()) - store.counts()[Outcome.FAILED] == 8
        assert server.calls <= 9 + 2


def test_an_endpoint_that_goes_away_is_given_up(tmp_path):
    with chat_server(only_answers=11, then=503) as server, LabelStore(tmp_path / "labels.sqlite") as store:
        settings = config(server, concurrency=2, retries=1, backoff=0.001)
        with pytest.raises(
            RobotRLError, match="gave no answer to the last 8 questions .HTTP 503: no more, 2 tries"
        ):
            label_pairs(
                ChatLabeler(settings), questions(MANY, many_frames), many_frames, store, batch_size=999
            )
        assert sum(store.counts().values()) - store.counts()[Outcome.FAILED] == 10
        assert server.calls < 11 + 2 * (8 + 2) + 1


def test_equal_pictures_of_a_batch_are_read_once():
    reads = []

    def frames(indices):
        reads.extend(np.asarray(indices).tolist())
        return FRAMES(indices)

    asked = questions([Pair(1, 2), Pair(2, 1), Pair(1, 3)])
    with chat_server() as server:
        answers(server, asked, frames)
    assert sorted(reads) == [1, 2, 3]
    assert list(ChatLabeler(ChatConfig("http://localhost:1/v1", "toy")).label([], frames)) == []
