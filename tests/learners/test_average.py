"""The actor's moving average: by hand, in a learner, and what is deployed online."""

import dataclasses

import numpy as np
import pytest
import torch

from robot_rl.learners.average import AveragedActor
from robot_rl.learners.finetune import finetune
from robot_rl.learners.online import OnlineConfig, OnlineLearner
from robot_rl.policies.checkpoint import load_checkpoint
from tests.learners.line_env import LineEnv, offline_run, weak_data


class _Actor:
    """A learner that is its flat actor alone."""

    def __init__(self):
        self.flat = torch.tensor([0.0, 8.0])

    def state_dict(self):
        return {"actor": self.flat}

    def policy_weights(self):
        return {"w": self.flat.numpy().copy()}


def test_by_hand():
    learner = _Actor()
    averaged = AveragedActor(learner, 0.75)
    for value in (4.0, 8.0):
        learner.flat.fill_(value)
        averaged.update()
    # 0 -> 1 -> 1 + .25 * 7, and 8 -> 7 -> 7 + .25 * 1
    assert averaged.policy_weights()["w"].tolist() == [2.75, 7.25]
    assert learner.flat.tolist() == [8.0, 8.0]  # the actor goes on where it was
    averaged.restore(torch.tensor([1.0, 2.0]))
    assert averaged.policy_weights()["w"].tolist() == [1.0, 2.0]
    averaged.restore(None)
    assert averaged.policy_weights()["w"].tolist() == [8.0, 8.0]


@pytest.mark.parametrize("algorithm", ["iql", "calql", "rlpd"])
def test_the_average_is_what_is_deployed(tmp_path, algorithm):
    settings = {"critics": 3, "utd": 2} if algorithm == "rlpd" else {}
    offline = offline_run(tmp_path / "offline", algorithm=algorithm, steps=20, settings=settings)
    config = OnlineConfig(steps=40, warmup=0, batch_size=8)

    def learned(keep):
        run = dataclasses.replace(config, average=keep)
        learner = OnlineLearner(tmp_path / str(keep), offline, run, weak_data())
        finetune(learner, LineEnv())
        return load_checkpoint(learner.root)[0], learner.learner.policy_weights()

    start, _ = load_checkpoint(offline.root)
    average, actor = learned(0.95)
    name = "layer0.weight"
    moved = [np.abs(weights[name] - start[name]).max() for weights in (average, actor)]
    assert 0 < moved[0] < moved[1]  # it follows the actor, and lags
    deployed, itself = learned(0.0)
    np.testing.assert_array_equal(deployed[name], itself[name])
    np.testing.assert_array_equal(itself[name], actor[name])  # what is deployed does not change the learning
