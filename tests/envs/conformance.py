"""What every simulated task must keep: `check_task(card)` from the test of its family."""

from __future__ import annotations

import numpy as np

from robot_rl.envs.make import make_task
from robot_rl.envs.task_env import TaskEnv
from robot_rl.specs.tasks import TaskCard


def play(env: TaskEnv, seed: int, steps: int = 12, **options: object) -> tuple[np.ndarray, np.ndarray]:
    """States (steps + 1, S) and rewards (steps,) of random actions that the seed decides."""
    rng = np.random.default_rng(seed)
    states, rewards = [env.reset(seed=seed, options=options)[0]["state"]], []
    for _ in range(steps):
        observation, reward, *_ = env.step(rng.uniform(-1, 1, len(env.card.actions)))
        states.append(observation["state"])
        rewards.append(reward)
    return np.stack(states), np.array(rewards)


def check_task(card: TaskCard) -> None:
    """Run the whole contract."""
    env = make_task(card)
    check_spaces(env)
    check_a_seed_decides_everything(env)
    check_actions_are_clipped(env)
    check_pictures(env)
    check_close(env)
    check_the_card_ends_an_episode(make_task(card.model_copy(update={"episode_length": 5})))


def check_spaces(env: TaskEnv) -> None:
    """Observations and actions are as the card says."""
    observation, info = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert observation["state"].shape == (len(env.card.state),) and observation["state"].dtype == np.float32
    assert env.action_space.shape == (len(env.card.actions),)
    assert info == {"success": False}
    assert env.metadata["render_fps"] == env.card.control_rate


def check_a_seed_decides_everything(env: TaskEnv) -> None:
    """The same seed gives the same trajectory, whatever was played in between and in a new environment."""
    for options in ({}, {"random_start": True}):
        first = play(env, 5, **options)
        other = play(env, 6, 30, **options)
        for again in (play(env, 5, **options), play(make_task(env.card), 5, **options)):
            np.testing.assert_array_equal(first[0], again[0])
            np.testing.assert_array_equal(first[1], again[1])
        assert not np.array_equal(first[0], other[0][: len(first[0])])


def check_actions_are_clipped(env: TaskEnv) -> None:
    """An action beyond 1 moves the arm as 1 does."""
    states = []
    for size in (1.0, 7.0):
        env.reset(seed=1)
        states.append(env.step(np.full(len(env.card.actions), size))[0]["state"])
    np.testing.assert_array_equal(*states)


def check_pictures(env: TaskEnv) -> None:
    """Pictures have the card's size, repeat, and change when the arm moves; no goal mark is drawn."""
    size = env.card.camera.size
    env.reset(seed=2)
    before = env.render().copy()
    assert before.shape == (size, size, 3) and before.dtype == np.uint8 and before.std() > 10
    np.testing.assert_array_equal(before, env.render())
    for _ in range(20):
        env.step(np.resize([0.0, 1.0, -1.0, 1.0], len(env.card.actions)))
    after = env.render().copy()
    assert (np.abs(after.astype(int) - before).max(-1) > 30).sum() > 20
    model = env.model
    model.site_rgba[:] = (1, 0, 1, 1)
    model.site_size[:] = 0.3  # had they been drawn, sites this large would fill the picture
    np.testing.assert_array_equal(after, env.render())


def check_close(env: TaskEnv) -> None:
    """Closing frees the renderer and may be repeated."""
    assert env._camera is not None
    env.close()
    assert env._camera is None
    env.close()


def check_the_card_ends_an_episode(env: TaskEnv) -> None:
    """The episode is truncated at the card's length, is never terminated, and info says success."""
    env.reset(seed=0)
    ends = [env.step(np.zeros(len(env.card.actions))) for _ in range(5)]
    assert [truncated for *_, truncated, _ in ends] == [False] * 4 + [True]
    assert not any(terminated for _, _, terminated, _, _ in ends)
    assert all(info["success"] is False for *_, info in ends)  # a family may tell more
    assert all(isinstance(reward, float) for _, reward, *_ in ends)
    env.close()
