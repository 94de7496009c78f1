"""The GPU's path: what can be known without one, and, where there is one, that it learns as the processor."""

import contextlib
import dataclasses

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from robot_rl.cli.main import main
from robot_rl.errors import BadInput
from robot_rl.learners import cuda_graph
from robot_rl.learners.batch import TransitionTable
from robot_rl.learners.cuda_graph import CAPTURED, CapturedUpdate, checked_device
from robot_rl.learners.train import TrainConfig, make_learner, train
from robot_rl.policies.policy import MlpPolicy
from tests.learners.helpers import describe, random_transitions

FEW = TrainConfig("iql", steps=20, batch_size=8, hidden=(8, 8), log_every=10)


def make(algorithm="iql"):
    config = dataclasses.replace(FEW, algorithm=algorithm)
    return make_learner(config, 3, 2, torch.Generator().manual_seed(0)), TransitionTable(random_transitions())


class NoLook(TorchDispatchMode):
    """Refuses what a capture does: reading a value on the host, and results whose size depends on values."""

    LOOKS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique", "masked_select")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket.__name__ not in self.LOOKS, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("algorithm", CAPTURED)
def test_what_is_captured_never_looks_at_a_value(algorithm):
    learner, table = make(algorithm)
    indices = torch.arange(8)
    with NoLook():
        learner.compute(table.rows(indices))
    with pytest.raises(AssertionError), NoLook():
        learner.compute(table.rows(indices))["actor_loss"].item()


@pytest.mark.parametrize("algorithm", CAPTURED)
def test_memory_stays_where_it_is(algorithm):
    """A graph writes to fixed addresses: parameters, gradients and Adam's state must not be made anew."""
    learner, table = make(algorithm)
    learner.update(table.rows(torch.arange(8)))

    def places():
        grads = [p.grad.data_ptr() for p in learner.actor.parameters()]
        return [t.data_ptr() for name, t in learner.state_dict().items() if name != "step"] + grads

    before = places()
    for _ in range(3):
        learner.update(table.rows(torch.arange(8)))
    assert places() == before


class Played:
    """Stands in for CUDAGraph: a replay does the captured work again."""

    def replay(self):
        self.owner._info.update(self.owner._work())


@pytest.fixture
def no_gpu(monkeypatch):
    stream = type("Stream", (), {"wait_stream": lambda self, other: None})
    monkeypatch.setattr(torch.cuda, "Stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda one: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Played)
    monkeypatch.setattr(torch.cuda, "graph", lambda one: contextlib.nullcontext())


@pytest.mark.parametrize("algorithm", CAPTURED)
def test_captured_updates_are_eager_ones(no_gpu, algorithm):
    (one, table), (other, _) = make(algorithm), make(algorithm)
    update = CapturedUpdate(one, table, 8, torch.device("cpu"))
    update._graph.owner = update
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name  # warming up has left no trace
    for k in range(5):
        indices = torch.randint(64, (8,), generator=torch.Generator().manual_seed(k))
        info, expected = update(indices), other.update(table.rows(indices))
        assert all(torch.equal(info[name], expected[name]) for name in expected)
    assert one.step == other.step == 5
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_a_learning_rate_in_a_tensor_steps_like_a_number():
    learner, table = make()
    other, _ = make()
    for group in learner._adam._groups.values():
        group["lr"] = torch.tensor(group["lr"])
    for _ in range(3):
        for one in (learner, other):
            one.update(table.rows(torch.arange(8)))
    for name, tensor in learner.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[name], rtol=1e-5, atol=1e-7)


def test_a_device_that_is_not_there_is_refused(tiny_dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cuda_graph.torch.cuda, "is_available", lambda: False)
    assert checked_device("cpu", "calql").type == "cpu"
    with pytest.raises(BadInput, match="--device: must be cpu or cuda, not 'gpu'"):
        checked_device("gpu", "iql")
    with pytest.raises(BadInput, match="--device: cuda serves iql and bc, not calql; use cpu"):
        checked_device("cuda", "calql")
    out = tmp_path / "run"
    assert main(["train", str(tiny_dataset.root), "--out", str(out), "--device", "cuda"]) == 2
    assert "sees no GPU; use cpu, or install a build of torch" in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
    monkeypatch.setattr(cuda_graph.torch.cuda, "is_available", lambda: True)
    assert checked_device("cuda", "iql").type == "cuda"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("algorithm", CAPTURED)
def test_the_graph_itself(algorithm):
    config = dataclasses.replace(FEW, algorithm=algorithm)
    learners = [make_learner(config, 3, 2, torch.Generator().manual_seed(0), "cuda") for _ in range(2)]
    table = TransitionTable(random_transitions()).to("cuda")
    update = CapturedUpdate(learners[0], table, 8, torch.device("cuda"))
    for k in range(20):
        indices = torch.randint(64, (8,), generator=torch.Generator().manual_seed(k))
        info, expected = update(indices), learners[1].update(table.rows(indices.cuda()))
        torch.testing.assert_close(info["actor_loss"], expected["actor_loss"], rtol=1e-4, atol=1e-5)


on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@on_gpu
@pytest.mark.parametrize("algorithm", CAPTURED)
def test_on_a_gpu_captured_updates_are_eager_ones(algorithm):
    config = dataclasses.replace(FEW, algorithm=algorithm, hidden=(64, 64))
    table = TransitionTable(random_transitions()).to("cuda")
    one, other = (make_learner(config, 3, 2, torch.Generator().manual_seed(0), "cuda") for _ in range(2))
    update = CapturedUpdate(one, table, 8, torch.device("cuda"))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name  # capturing has left no trace
    for k in range(10):  # with the learning rate of each step, which changes
        indices = torch.randint(64, (8,), generator=torch.Generator().manual_seed(k))
        info, expected = update(indices), other.update(table.rows(indices.cuda()))
        for name, value in expected.items():
            torch.testing.assert_close(info[name], value, rtol=1e-4, atol=1e-5)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[name], rtol=1e-4, atol=1e-5, msg=name)


@on_gpu
@pytest.mark.parametrize("algorithm", CAPTURED)
def test_on_a_gpu_training_is_that_of_the_processor(algorithm, tmp_path):
    config, found = dataclasses.replace(FEW, algorithm=algorithm, steps=50, save_every=20), {}
    for device in ("cpu", "cuda"):
        out = train(random_transitions(), tmp_path / device, dataclasses.replace(config, device=device),
                    description=describe())  # fmt: skip
        found[device] = MlpPolicy.load(out)
    states = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    np.testing.assert_allclose(found["cuda"].act(states), found["cpu"].act(states), atol=2e-3)
    # Stopped at a saved state and taken up again, it comes to the same end.
    half = dataclasses.replace(config, device="cuda")
    with pytest.raises(KeyboardInterrupt):
        train(random_transitions(), tmp_path / "half", half, description=describe(), progress=_stop_after(25))
    train(random_transitions(), tmp_path / "half", half, description=describe())
    np.testing.assert_allclose(
        MlpPolicy.load(tmp_path / "half").act(states), found["cuda"].act(states), atol=1e-4
    )


def _stop_after(updates):
    done = [0]

    def progress(count, note):
        done[0] += count
        if done[0] > updates:
            raise KeyboardInterrupt

    return progress
