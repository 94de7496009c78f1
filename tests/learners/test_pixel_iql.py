"""Learning to see: which loss reaches the encoder, which picture belongs to which step, and a whole run."""

import dataclasses

import numpy as np
import pytest
import torch

from robot_rl.data.replay import Transitions
from robot_rl.errors import BadInput
from robot_rl.learners.iql import IQL, IQLConfig
from robot_rl.learners.pictures import Pictures, PictureTable
from robot_rl.learners.pixel_iql import PixelIQL
from robot_rl.learners.train import TrainConfig, train
from robot_rl.policies.image_input import ImageInput
from robot_rl.policies.image_policy import load_policy
from tests.learners.helpers import describe, random_transitions

SMALL = IQLConfig(steps=10, hidden=(8, 8), learning_rate=1e-2, target_rate=0.1)
FEW = TrainConfig("iql", steps=6, batch_size=8, hidden=(8, 8), save_every=4, log_every=2)


def some_pictures(count=64, size=32):
    """Pictures of noise; a step's next picture is the one after it."""
    array = np.random.default_rng(0).integers(0, 255, (count + 1, size, size, 3), np.uint8)
    return Pictures(array, np.arange(count), np.arange(1, count + 1))


def image(**changes):
    fields = {"camera": "front", "height": 32, "width": 32, "size": 32, "features": 50, "encoder": "learned",
              "file": "encoder-0.onnx"}  # fmt: skip
    return ImageInput(**(fields | changes))


def learner_and_batch():
    learner = PixelIQL(3, 2, 32, SMALL, torch.Generator().manual_seed(0))
    return learner, PictureTable(random_transitions(), some_pictures()).rows(torch.arange(16))


def test_a_row_holds_its_own_pictures():
    pictures = some_pictures()
    batch = PictureTable(random_transitions(), pictures).rows(torch.tensor([5, 2]))
    np.testing.assert_array_equal(batch.pictures.numpy(), pictures.array[[5, 2]])
    np.testing.assert_array_equal(batch.next_pictures.numpy(), pictures.array[[6, 3]])
    np.testing.assert_array_equal(batch.observations.numpy(), random_transitions().observations[[5, 2]])


@pytest.mark.parametrize(
    ("loss", "reached"), [("q_loss", True), ("value_loss", False), ("actor_loss", False)]
)
def test_only_the_critics_loss_reaches_the_encoder(loss, reached):
    learner, batch = learner_and_batch()
    seen = learner.seen(batch, batch.pictures, batch.next_pictures)
    learner.losses(seen)[loss].backward()
    moved = [bool(p.grad.any()) for p in learner.encoder.parameters()]
    assert all(moved) if reached else not any(moved)


def test_iql_sees_the_features_after_the_state():
    learner, batch = learner_and_batch()
    seen = learner.seen(batch, batch.pictures, batch.next_pictures)
    with torch.no_grad():
        features, following = learner.encoder(batch.pictures), learner.encoder(batch.next_pictures)
    assert torch.equal(seen.observations[:, :3], batch.observations)
    torch.testing.assert_close(seen.observations[:, 3:], features)
    torch.testing.assert_close(seen.next_observations[:, 3:], following)
    torch.testing.assert_close(seen.observations_actions[:, -2:], batch.actions)


def test_an_update_moves_all_and_is_that_of_iql_on_the_features():
    learner, batch = learner_and_batch()
    plain = IQL(53, 2, SMALL, torch.Generator().manual_seed(0))
    for name in ("actor", "q", "target_q", "v"):
        getattr(plain, name).load_state_dict(getattr(learner, name).state_dict())
    before = [p.detach().clone() for p in learner.encoder.parameters()]
    state = learner._generator.get_state()
    learner.update(batch)
    assert all(not torch.equal(a, b) for a, b in zip(before, learner.encoder.parameters(), strict=True))
    again = torch.Generator()
    again.set_state(state)
    from robot_rl.policies.convolutions import random_shift

    with torch.no_grad():
        for p, old in zip(learner.encoder.parameters(), before, strict=True):
            p.copy_(old)
    shifted = [random_shift(some, again) for some in (batch.pictures, batch.next_pictures)]
    seen = learner.seen(batch, *shifted)
    plain.update(type(seen)(*(None if x is None else x.detach() for x in seen)))
    for name in ("actor", "q", "target_q", "v"):
        pairs = zip(getattr(learner, name).parameters(), getattr(plain, name).parameters(), strict=True)
        for mine, theirs in pairs:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def run(out, config=FEW, **changes):
    description = describe(images=(image(),))
    return train(
        random_transitions(), out, config, description=description, pictures=some_pictures(), **changes
    )


def test_a_run_gives_a_policy_that_sees_and_a_killed_one_continues_alike(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    run(tmp_path / "whole")
    policy = load_policy(tmp_path / "whole")
    picture = some_pictures().array[3]
    action = policy.act({"state": np.zeros(3), "image.front": picture})
    assert action.shape == (2,) and policy.spec.observation_keys == ("state", "image.front")

    def stop(count, note):
        if count and (tmp_path / "killed/state").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", progress=stop)
    run(tmp_path / "killed")
    for name in ("weights.safetensors", "state/state.safetensors", "encoder-0.onnx"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_the_deployed_encoder_is_the_learned_one(tmp_path):
    pytest.importorskip("onnxruntime")
    run(tmp_path / "run")
    policy = load_policy(tmp_path / "run")
    learner = PixelIQL(3, 2, 32, IQLConfig(6, hidden=(8, 8)), torch.Generator().manual_seed(0))
    from safetensors.torch import load_file

    state = load_file(tmp_path / "run/state/state.safetensors")
    learner.load_state_dict(state)
    picture, numbers = some_pictures().array[3], np.float32([0.1, -0.2, 0.3])
    mean, std = np.float32(policy.spec.state_mean), np.float32(policy.spec.state_std)
    with torch.no_grad():
        seen = torch.cat([torch.from_numpy((numbers - mean) / std)[None],
                          learner.encoder(torch.from_numpy(picture)[None])], 1)  # fmt: skip
        expected = learner.actor.mean(seen)[0].numpy()
    action = policy.act({"state": numbers, "image.front": picture})
    np.testing.assert_allclose(action, expected, atol=1e-5)


def test_pictures_alone_are_enough(tmp_path):
    pytest.importorskip("onnxruntime")
    nothing = np.zeros((64, 0), np.float32)
    data: Transitions = dataclasses.replace(
        random_transitions(), observations=nothing, next_observations=nothing
    )
    description = describe(0, images=(image(),))
    train(data, tmp_path, FEW, description=description, pictures=some_pictures())
    assert load_policy(tmp_path).act({"image.front": some_pictures().array[0]}).shape == (2,)


@pytest.mark.parametrize("change", [{"algorithm": "bc"}, {"n_step": 3}])
def test_what_cannot_learn_to_see_is_refused(tmp_path, change):
    with pytest.raises(BadInput, match="the encoder cnn learns with iql, n_step 1 and one camera"):
        run(tmp_path, dataclasses.replace(FEW, **change))
