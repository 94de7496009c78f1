"""Sentences and their truth, worked out by hand."""

import numpy as np

from robot_rl.specs.tasks import Scale
from robot_rl.vision.captions import captions, sentences

FAR, NEAR = {"say": ["far", "away"]}, {"say": ["near", "by"]}
HAND = Scale(name="hand", subject=["the hand is {}"], levels=[FAR, NEAR])
DOOR = Scale(name="door", subject=["the door is {}"], levels=[{"say": ["shut"]}, {"say": ["open"]}])


def test_a_level_is_said_in_every_way():
    levels = [{"say": ["shut", "to"]}, {"say": ["open"]}]
    scale = Scale(name="d", subject=["it is {}", "one {}"], levels=levels)
    assert sentences(scale, 0) == ["it is shut", "one shut", "it is to", "one to"]
    assert sentences(scale, 1) == ["it is open", "one open"]


def test_sentences_and_their_claims():
    told = captions([HAND, DOOR])
    said = dict(zip(told.texts, told.levels.tolist(), strict=True))
    assert said == {
        "the hand is far": [0, -1],
        "the hand is away": [0, -1],
        "the hand is near": [1, -1],
        "the hand is by": [1, -1],
        "the door is shut": [-1, 0],
        "the door is open": [-1, 1],
        "the door is shut and the hand is far": [0, 0],
        "the door is open and the hand is far": [0, 1],
        "the door is shut and the hand is near": [1, 0],
        "the door is open and the hand is near": [1, 1],
    }


def test_truth():
    told = captions([HAND, DOOR])
    truth = told.true_of(np.array([[0, 1], [1, 0]]))
    assert truth.shape == (2, 10) and truth.dtype == bool
    true = [{text for text, holds in zip(told.texts, row, strict=True) if holds} for row in truth]
    assert true == [
        {"the hand is far", "the hand is away", "the door is open", "the door is open and the hand is far"},
        {"the hand is near", "the hand is by", "the door is shut", "the door is shut and the hand is near"},
    ]


def test_one_scale_has_no_pairings():
    assert captions([DOOR]).texts == ("the door is shut", "the door is open")
