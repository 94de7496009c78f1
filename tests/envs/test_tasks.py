"""Every task card's environment: our contract, Gymnasium's own check, no warning of MuJoCo, registration."""

import warnings

import numpy as np
import pytest

pytest.importorskip("metaworld")
import gymnasium
from gymnasium.utils.env_checker import check_env

from robot_rl.envs.make import make_task
from robot_rl.errors import BadInput
from robot_rl.specs.tasks import load_task
from tests.envs.conformance import check_task
from tests.envs.runnable import runnable_tasks

TASKS = runnable_tasks()


@pytest.mark.parametrize("name", TASKS)
def test_the_contract(name):
    check_task(load_task(name))


@pytest.mark.parametrize("name", TASKS)
def test_gymnasium_s_own_check(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", ".*Box observation space m.*")  # states have no bounds
        env = gymnasium.make(f"robot_rl.envs:robot_rl/{name}-v0", disable_env_checker=True).unwrapped
        check_env(env, skip_render_check=True)


@pytest.mark.parametrize("name", TASKS)
def test_mujoco_does_not_warn(name):
    env, rng = make_task(load_task(name)), np.random.default_rng(0)
    env.reset(seed=0)
    for step in range(1000):
        env.step(rng.uniform(-1, 1, len(env.card.actions)))
        if env.steps >= env.card.episode_length:
            env.reset(seed=step)
    assert {w.number for w in env.data.warning} == {0}
    env.close()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"environment": "metaworld:drawer-opn-v3"}, "no 'drawer-opn-v3'. Did you mean 'drawer-open-v3'"),
        ({"environment": "metawold:x"}, "family 'metawold' is unknown. Did you mean 'metaworld'"),
    ],
)
def test_unknown_environments(changes, told):
    with pytest.raises(BadInput, match=told):
        make_task(load_task("drawer_open").model_copy(update=changes))
