"""The labeler human held to the labeler's contract, with a scripted rater over real HTTP."""

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")
from robot_rl.errors import BadInput
from robot_rl.preferences.human.labeler import HumanLabeler
from robot_rl.preferences.types import Outcome, Pair, StreamingLabeler
from tests.preferences.conformance import check_labeler
from tests.preferences.fakes import brightness_frames
from tests.preferences.human.scripted import Client, Crowd
from tests.preferences.human.setup import FRAMES, config, level, questions


def test_the_contract(tmp_path):
    frames, crowd = brightness_frames(12), Crowd()
    pairs = [Pair(0, 1), Pair(2, 3), Pair(4, 5), Pair(6, 6), Pair(11, 8)]
    check_labeler(lambda: HumanLabeler("anna", config(), crowd), frames, pairs, tmp_path)
    crowd.done()
    assert isinstance(HumanLabeler("anna", config(), crowd), StreamingLabeler)


@pytest.mark.parametrize("order", ["given", "swapped"])
def test_p_is_about_the_pair_as_given_and_latency_is_what_the_page_says(order):
    asked = questions(6, order=order)
    answers = list(HumanLabeler("anna", config(), Crowd()).label(asked, FRAMES))
    for question, answer in zip(asked, answers, strict=True):
        assert answer.p == float(level(question.pair.second) > level(question.pair.first))
        assert (answer.order, answer.latency, answer.model) == (order, 0.5, "anna")


def test_questions_left_when_the_rater_ends_early_are_failed_and_in_place():
    answers = list(HumanLabeler("anna", config(), Crowd(most=4)).label(questions(6), FRAMES))
    assert [a.outcome is Outcome.FAILED for a in answers] == [False] * 4 + [True] * 2
    assert answers[5].error == "not answered yet"


def test_the_identity_names_the_rater_and_what_can_change_an_answer_but_no_address():
    labeler = HumanLabeler("anna", config(port=1234, variant="strips of 3"), print)
    assert labeler.identity == {
        "model": "anna",
        "prompt_version": "page-1",
        "params": {"variant": "strips of 3"},
    }


def test_a_frame_that_cannot_be_read_ends_the_run_with_the_reason():
    def frames(indices):
        raise BadInput("episode 3: its video is damaged")

    def look(link):
        client = Client(link)
        assert client.fetch(f"pictures/{client.state()['question']['first']}.png")[0] == 500

    crowd = Crowd(anna=look)
    with pytest.raises(BadInput, match="^episode 3: its video is damaged$"):
        list(HumanLabeler("anna", config(), crowd).label(questions(3), frames))
    crowd.done()
