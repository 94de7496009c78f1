"""When new weights are better or worse, worked by hand."""

import pytest

from robot_rl.deploy.verdict import Judging
from robot_rl.errors import BadInput

BEST = {"open": (10, 8), "close": (10, 6)}  # mean .7


@pytest.mark.parametrize(
    ("candidate", "verdict"),
    [
        ({"open": (10, 8), "close": (10, 6)}, "better"),  # as good, and newer
        ({"open": (10, 10), "close": (10, 5)}, "better"),  # mean .75
        # Errors: of (9/12, 7/12): sqrt(.75 .25/12 + .5833 .4167/12)/2 = .0947; a fall of .2 is within
        # .1 + hypot(.0947, .0986) = .237.
        ({"open": (10, 6), "close": (10, 4)}, "same"),
        ({"open": (10, 5), "close": (10, 4)}, "worse"),  # .25 above .1 + hypot(.0947, .0999) = .238
        ({}, "better"),
        ({"lift": (10, 0)}, "better"),  # nothing to compare
    ],
)
def test_a_candidate_against_the_best(candidate, verdict):
    assert Judging()(candidate, BEST) == verdict


def test_it_waits_for_enough_tries_of_each_task():
    judging = Judging(tries=3)
    assert not judging.ready({"open": (5, 0), "close": (2, 0)}, ("open", "close"))
    assert not judging.ready({"open": (5, 0)}, ("open", "close"))
    assert judging.ready({"open": (3, 0), "close": (3, 0)}, ("open", "close"))


@pytest.mark.parametrize("changes", [{"tries": 0}, {"margin": 1.0}, {"errors": -1.0}])
def test_judging_that_cannot_be(changes):
    with pytest.raises(BadInput, match="judging needs"):
        Judging(**changes)
