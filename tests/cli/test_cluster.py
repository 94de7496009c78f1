"""Embedding, rewards and labels by Ray workers are those of one process; a killed worker costs time only."""

import dataclasses
import os
import signal
import time

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("httpx2")
pytest.importorskip("ray")
from robot_rl.cli.cluster import connected, opened, ray_rewards, ray_shards
from robot_rl.cli.cluster_label import ChatMaker, RayLabeler, Share, Spent, divided
from robot_rl.cli.spread import SharedLook
from robot_rl.errors import BadInput, RobotRLError
from robot_rl.preferences.chat.budget import BudgetSpent
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.run import label_pairs, make_questions
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Pair
from robot_rl.rewards.model import RewardConfig, RewardModel
from robot_rl.vision import shards as module
from robot_rl.vision.cache import embed_dataset
from robot_rl.vision.encoder import load_small, new_small_clip, save_small
from robot_rl.vision.shards import Shard, cut, embed_shards
from tests.conftest import write_tiny
from tests.preferences.chat_server import KEY, Behaviour, chat_server
from tests.preferences.conformance import check_labeler, meaning
from tests.preferences.fakes import BrightLabeler, brightness_frames

FRAMES = brightness_frames()
PAIRS = [Pair(i, (i * 5 + 3) % 12) for i in range(12)]
QUESTIONS = make_questions(PAIRS, FRAMES, "open the drawer", "close the drawer")


@pytest.fixture(scope="module", autouse=True)
def _ray():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOY_KEY", KEY)  # of the workers as well, which are started now
        with connected("local") as found:
            assert found >= 1
            yield


class MeanEncoder:
    """Mean colours as vectors."""

    size, identity = 32, {"kind": "test", "model": "mean", "weights": "w", "origin": "here"}

    def images(self, pictures):
        return pictures.mean((1, 2)).astype(np.float32)


def die_once(marker):
    """Kill this process as `kill -9` does, the first time that it comes here."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@dataclasses.dataclass
class DyingEncoder(MeanEncoder):
    marker: str = ""

    def images(self, pictures):
        die_once(self.marker)
        return super().images(pictures)


class Bright:
    """Makes the labeler of the fakes, which spends 10 tokens an answer."""

    def __call__(self, share):
        return BrightLabeler()

    def spent(self, labeler):
        return Spent(1, 10, 0.01)


@dataclasses.dataclass
class Dying(Bright):
    """Its labelers note each question that they are asked; the fifth answer of all kills the worker."""

    folder: str

    def __call__(self, share):
        folder = self.folder

        class Noting(BrightLabeler):
            def label(self, questions, frames):
                for question in questions:
                    number = len(os.listdir(folder))
                    open(f"{folder}/{number}-{question.first_hash[:8]}-{os.getpid()}", "w").close()
                    if number == 5:
                        os.kill(os.getpid(), signal.SIGKILL)
                    yield from super().label([question], frames)

        return Noting()


def small_encoder(folder):
    """An untrained image-text model of the kind that robot-rl trains, for 32x32 pictures."""
    vision = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 8}
    text = {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    architecture = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    save_small(folder, new_small_clip(architecture),
               {"name": "toy", "architecture": architecture, "origin": "here"})  # fmt: skip
    return load_small(folder)


def test_vectors_are_the_same_bits_and_so_are_rewards(tmp_path):
    pytest.importorskip("torch").set_num_threads(1)
    dataset, encoder = write_tiny(tmp_path / "data"), small_encoder(tmp_path / "judge")
    parts = cut(dataset, size=10)
    assert parts == (Shard(0, 12), Shard(12, 24), Shard(24, 36), Shard(36, 48))
    here = dict(embed_shards(dataset, "front", encoder, parts))
    told = []
    there = dict(ray_shards(dataset, "front", encoder, parts, told.append))
    assert here.keys() == there.keys() and sum(told) == 48
    for part in parts:
        np.testing.assert_array_equal(there[part], here[part])
    vectors = np.concatenate([here[part] for part in parts])
    model = RewardModel.fit(vectors, np.array([[0, 5], [20, 1], [30, 40]]), np.array([1.0, 0.0, 1.0]),
                            RewardConfig(members=2, hidden=(8,), epochs=1))  # fmt: skip
    np.testing.assert_array_equal(ray_rewards(model, vectors), model.reward(vectors))


def test_a_killed_worker_costs_time_only(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOT_RL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "SHARD", 12)
    dataset, marker = write_tiny(tmp_path / "data"), tmp_path / "died"
    vectors = embed_dataset(dataset, "front", DyingEncoder(str(marker)), work=ray_shards)
    assert marker.exists()
    np.testing.assert_array_equal(vectors, MeanEncoder().images(dataset.frames("front", np.arange(48))))


def test_a_dataset_that_workers_do_not_see_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"gone: is not there on the Ray worker .* share") as caught:
        opened(str(tmp_path / "gone"))
    dataset = write_tiny(tmp_path / "data")
    dataset.root = tmp_path / "gone"
    with pytest.raises(BadInput) as there:
        list(ray_shards(dataset, "front", MeanEncoder(), cut(dataset)))
    assert str(there.value) == str(caught.value)


def test_the_contract(tmp_path):
    check_labeler(lambda: RayLabeler(Bright(), 2), FRAMES, PAIRS, tmp_path)


def test_labels_and_keys_are_those_without_ray(tmp_path):
    dataset = write_tiny(tmp_path / "data")
    source = SharedLook(str(dataset.root), "front")
    questions = make_questions([Pair(i, 47 - i) for i in range(20)], source, "open the drawer")
    with LabelStore(tmp_path / "a.sqlite") as one, LabelStore(tmp_path / "b.sqlite") as other:
        plain = label_pairs(BrightLabeler(), questions, source, one)
        spread = label_pairs(RayLabeler(Bright(), 3, source), questions, lambda indices: None, other)
        keys = [question.key("bright", BrightLabeler().identity) for question in questions]
        assert list(map(meaning, spread)) == list(map(meaning, plain))
        assert one.get(keys).keys() == other.get(keys).keys() == set(keys)


def test_a_killed_worker_is_followed_by_one_with_what_is_left(tmp_path):
    (asked := tmp_path / "asked").mkdir()
    given = dict(RayLabeler(Dying(str(asked)), 1).answers(QUESTIONS, FRAMES))
    assert [meaning(given[i]) for i in range(12)] == list(
        map(meaning, BrightLabeler().label(QUESTIONS, FRAMES))
    )
    names = [path.name.split("-") for path in asked.iterdir()]
    assert len({pid for *_, pid in names}) == 2
    # 5 answers came before the kill, but the last may not have left the worker; one more was in flight.
    assert 13 <= len(names) <= 14


class Failing(Bright):
    """Worker 0 stops after its first answer, as with a spent budget."""

    def __call__(self, share):
        class Stopping(BrightLabeler):
            def label(self, questions, frames):
                for number, answer in enumerate(super().label(questions, frames)):
                    if share.count > 1 and share.index == 0 and number == 1:
                        raise RobotRLError("enough")
                    yield answer

        return Stopping()


def test_others_finish_before_an_error_is_raised():
    given = {}
    with pytest.raises(RobotRLError, match="^enough$"):
        given.update(RayLabeler(Failing(), 2).answers(QUESTIONS, FRAMES))
    assert sorted(given) == [0, *range(1, 12, 2)]
    labels = []
    with pytest.raises(RobotRLError, match="^enough$"):
        labels.extend(RayLabeler(Failing(), 2).label(QUESTIONS, FRAMES))
    assert len(labels) == 2


@pytest.mark.parametrize(("workers", "calls"), [(1, 10), (3, 10), (4, 7)])
def test_the_shares_of_all_workers_make_the_whole(workers, calls):
    whole = ChatConfig("http://127.0.0.1:9/v1", "toy", concurrency=8, requests_per_minute=90.0,
                       tokens_per_minute=600.0, budget_calls=calls, budget_tokens=1001)  # fmt: skip
    parts = [divided(whole, Share(i, workers)) for i in range(workers)]
    for name in ("concurrency", "requests_per_minute", "tokens_per_minute", "budget_calls", "budget_tokens"):
        assert sum(getattr(part, name) for part in parts) == pytest.approx(getattr(whole, name)), name
    assert all(part.budget_usd == 0 for part in parts)
    assert ChatMaker(whole).workers(8) == 1  # 10 calls are not worth a second worker


def test_what_a_dead_worker_spent_is_taken_off():
    whole = ChatConfig("http://127.0.0.1:9/v1", "toy", budget_calls=20)
    assert divided(whole, Share(0, 2, Spent(calls=4))).budget_calls == 6
    with pytest.raises(BudgetSpent, match=r"budget_calls: a Ray worker died.*share of 20"):
        divided(whole, Share(0, 2, Spent(calls=10)))


def chat(server, **changes):
    return ChatConfig(server.url, "toy", api_key_env="TOY_KEY", image_format="png", **changes)


def test_a_chat_model_is_asked_by_all_within_the_limits(tmp_path):
    with chat_server(Behaviour(key=KEY, latency=0.05)) as server, LabelStore(tmp_path / "a.sqlite") as store:
        labeler = RayLabeler(ChatMaker(chat(server, concurrency=3)), 2)
        given = label_pairs(labeler, QUESTIONS, FRAMES, store)
        assert server.most_in_flight <= 3 and len(server.questions) == 12
        assert all(answer.labeler == "chat" and not answer.error for answer in given)
        assert label_pairs(RayLabeler(ChatMaker(chat(server)), 2), QUESTIONS, FRAMES, store) == given
        assert len(server.questions) == 12
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.iterdir())


def test_a_run_that_is_broken_off_ends_its_workers():
    with chat_server(Behaviour(key=KEY, latency=0.2)) as server:
        answers = RayLabeler(ChatMaker(chat(server, concurrency=2)), 2).answers(QUESTIONS, FRAMES)
        next(answers)
        answers.close()
        time.sleep(0.3)  # what was on its way arrives
        calls = server.calls
        time.sleep(0.6)
        assert server.calls == calls < 14
    assert len(list(RayLabeler(Bright(), 2).answers(QUESTIONS, FRAMES))) == 12


def test_a_budget_holds_over_all_workers():
    with chat_server(Behaviour(key=KEY)) as server:
        labeler = RayLabeler(ChatMaker(chat(server, budget_calls=7)), 2)
        with pytest.raises(BudgetSpent, match="budget"):
            list(labeler.answers(QUESTIONS, FRAMES))
        assert server.calls <= 7


def test_a_key_that_workers_lack_is_named(monkeypatch):
    monkeypatch.setenv("LATE_KEY", KEY)  # here, but not where the workers were started
    with chat_server(Behaviour(key=KEY)) as server:
        config = dataclasses.replace(chat(server), api_key_env="LATE_KEY")
        with pytest.raises(BadInput, match="LATE_KEY is not set.*Ray worker on") as caught:
            list(RayLabeler(ChatMaker(config), 2).answers(QUESTIONS, FRAMES))
    assert KEY not in str(caught.value)


def test_an_address_without_ray_is_bad_input():
    import ray

    ray.shutdown()
    with (
        pytest.raises(BadInput, match="--ray: no Ray cluster at '127.0.0.1:9'.*local"),
        connected("127.0.0.1:9"),
    ):
        pass
