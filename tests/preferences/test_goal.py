"""One yes or no a frame: probabilities, frequencies, what is stored, and that nothing is paid for twice."""

from __future__ import annotations

import numpy as np
import pytest

from robot_rl.preferences.goal import ask_goal, goal_questions
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Outcome, Preference

pytest.importorskip("httpx2")
from robot_rl.errors import BadInput
from robot_rl.preferences.chat.announce import announcement
from robot_rl.preferences.chat.labeler import ChatLabeler
from tests.preferences.chat.setup import config
from tests.preferences.chat_server import chat_server

LEVELS = np.array([0, 51, 102, 204, 255])
PICTURES = np.broadcast_to(LEVELS[:, None, None, None], (5, 6, 6, 3)).astype(np.uint8)


def frames(indices):
    return PICTURES[np.asarray(indices)]


def questions(task="the room is bright"):
    return goal_questions(np.arange(5), frames, task, "it is dark")


def chat(server, **changes):
    return ChatLabeler(config(server, prompt="success-1", **changes), about="goal")


def test_probabilities_come_from_the_endpoint_and_are_paid_for_once(tmp_path):
    with chat_server(logprobs=True) as server, LabelStore(tmp_path / "labels.sqlite") as store:
        labeler = chat(server)
        line = announcement(labeler, questions(), frames, store)
        assert line.startswith("5 images") and "of 5 pictures go to 127.0.0.1" in line
        found = ask_goal([labeler, labeler.again(1)], questions(), frames, store)
        assert found.p == pytest.approx(LEVELS / 255, abs=0.01) and found.soft
        assert [len(body["messages"][-1]["content"]) for body in server.questions] == [
            3
        ] * 5  # one picture each
        before = server.calls
        again = ask_goal([chat(server)], questions(), frames, store)
        assert server.calls == before and again.p == pytest.approx(found.p)
        ask_goal([chat(server)], questions("the room is dark"), frames, store)
        assert server.calls > before  # another goal is another question


class Coin:
    """Says yes to frame i in its sample s where (i + s) % 3 == 0; of frame 4 it cannot tell."""

    name = "coin"

    def __init__(self, sample):
        self.sample, self.asked = sample, 0
        self.identity = {"model": "coin", "prompt_version": "1", "params": {"sample": sample}}

    def label(self, questions, frames):
        for question in questions:
            self.asked += 1
            i = question.pair.first
            if i == 4:
                yield Preference(Outcome.CANNOT_TELL, None, self.name)
            else:
                yield Preference(Outcome.PREFERENCE, float((i + self.sample) % 3 == 0), self.name)


def test_bare_answers_are_asked_for_again_and_counted(tmp_path):
    samples = [Coin(0), Coin(1), Coin(2)]
    with LabelStore(tmp_path / "labels.sqlite") as store:
        found = ask_goal(samples, questions(), frames, store)
    # Every frame meets yes once in three samples; nothing is made of what cannot be told.
    assert found.p[:4] == pytest.approx([1 / 3] * 4) and np.isnan(found.p[4])
    assert [coin.asked for coin in samples] == [5, 4, 4] and not found.soft
    assert found.outcomes == {"preference": 12, "tie": 0, "cannot_tell": 1, "failed": 0}


def test_samples_share_a_budget_and_are_stored_apart(tmp_path):
    with chat_server() as server, LabelStore(tmp_path / "labels.sqlite") as store:
        first = chat(server, temperature=1.0, budget_calls=8)
        with pytest.raises(Exception, match="budget"):
            ask_goal([first, first.again(1)], questions(), frames, store)
        assert server.calls <= 8  # 1 test question, 5 answers, 2 of the second sample
        assert store.counts()[Outcome.PREFERENCE] == 7


def test_a_prompt_for_the_other_kind_of_question_is_refused():
    class Nowhere:
        url = "http://127.0.0.1:9/v1"

    with pytest.raises(BadInput, match="'choice-1' has answer: choice; this needs answer: yes_no"):
        ChatLabeler(config(Nowhere), about="goal")
    with pytest.raises(BadInput, match="'success-1' has answer: yes_no; this needs answer: choice"):
        ChatLabeler(config(Nowhere, prompt="success-1"))
    with pytest.raises(BadInput, match="both-orders"):
        chat(Nowhere, both_orders="always")
