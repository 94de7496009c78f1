"""Batch files: the same questions, answered by a pretended provider, in any order, partly, twice."""

import json
import random

import numpy as np
import pytest

from robot_rl.errors import BadInput
from robot_rl.preferences.batch import export_batch, import_batch
from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.run import label_pairs
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Outcome
from tests.preferences.chat.setup import FRAMES, PAIRS, config, questions
from tests.preferences.chat_server import ChatServer, _brightness, _parts, chat_server, verdict

BASE = {"url": "https://example.com/v1", "model": "toy", "image_format": "png"}


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as opened:
        yield opened


def labeler(**changes):
    return ChatLabeler(ChatConfig(**{**BASE, **changes}))


def requests_in(paths):
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def answered(request, **faulty):
    """What a provider makes of a request."""
    uris, _ = _parts(request["body"]["messages"])
    choice, p = verdict([_brightness(uri) for uri in uris])
    text = json.dumps({"evidence": "seen", "choice": choice})
    server = ChatServer.__new__(ChatServer)
    server.behaviour = type("B", (), {"logprobs": True, "usage": True})
    body = server._completion(text, request["body"], p)
    made = {"id": "r", "custom_id": request["custom_id"], "error": None}
    return {**made, "response": {"status_code": 200, "request_id": "x", "body": body}, **faulty}


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_requests_are_as_providers_take_them(tmp_path, store):
    (path,) = export_batch(labeler(), questions(), FRAMES, store, tmp_path / "new" / "batch.jsonl")
    requests = requests_in([path])
    assert len({r["custom_id"] for r in requests}) == len(requests) == len(PAIRS)
    for request in requests:
        assert set(request) == {"custom_id", "method", "url", "body"}
        assert (request["method"], request["url"]) == ("POST", "/v1/chat/completions")
        assert len(request["custom_id"]) <= 64
        assert request["body"]["model"] == "toy" and len(_parts(request["body"]["messages"])[0]) == 2
    assert [p.name for p in path.parent.iterdir()] == ["batch.jsonl"]


def test_the_bodies_are_those_of_the_labeler_itself(tmp_path, store):
    with chat_server(logprobs=True) as server:
        list(ChatLabeler(config(server)).label(questions(), FRAMES))
        sent = sorted(json.dumps(body, sort_keys=True) for body in server.questions)
    paths = export_batch(labeler(), questions(), FRAMES, store, tmp_path / "batch.jsonl")
    assert sorted(json.dumps(r["body"], sort_keys=True) for r in requests_in(paths)) == sent


@pytest.mark.parametrize("both", ["never", "always"])
@pytest.mark.parametrize("order", ["given", "swapped"])
def test_the_answers_are_those_of_the_labeler_itself(tmp_path, store, both, order):
    asked = questions(order=order)
    with chat_server(logprobs=True) as server:
        right = list(ChatLabeler(config(server, both_orders=both)).label(asked, FRAMES))
    judge = labeler(both_orders=both, price_input=1.0)
    paths = export_batch(judge, asked, FRAMES, store, tmp_path / "batch.jsonl")
    lines = [answered(request) for request in requests_in(paths)]
    random.Random(0).shuffle(lines)
    found = import_batch(judge, asked, [write(tmp_path / "answers.jsonl", lines)], store)
    assert (found.missing, found.unknown, found.damaged, found.reasons) == (0, 0, 0, {})
    assert found.outcomes == {"preference": 10, "cannot_tell": 2, "tie": 1}
    got = label_pairs(judge, asked, FRAMES, store)  # would fail if it had to ask: nobody is there
    for one, other in zip(got, right, strict=True):
        assert (one.outcome, one.order) == (other.outcome, other.order)
        np.testing.assert_allclose(one.p or 0, other.p or 0, atol=1e-12)
    assert got[0].cost == pytest.approx(90e-6 * 0.5 * (2 if both == "always" else 1))


def test_partly_then_the_rest_then_all_again(tmp_path, store):
    judge, asked = labeler(), questions()
    lines = [
        answered(r) for r in requests_in(export_batch(judge, asked, FRAMES, store, tmp_path / "b.jsonl"))
    ]
    part = write(tmp_path / "part.jsonl", lines[5:9])
    found = import_batch(judge, asked, [part], store)
    assert (sum(found.outcomes.values()), found.missing) == (4, len(PAIRS) - 4)
    rest = export_batch(judge, asked, FRAMES, store, tmp_path / "rest.jsonl")
    assert [r["custom_id"] for r in requests_in(rest)] == [a["custom_id"] for a in lines[:5] + lines[9:]]
    whole = write(tmp_path / "whole.jsonl", lines)
    import_batch(judge, asked, [whole], store)
    cost, counts = store.totals(), store.counts()
    first = store.get([q.key(judge.name, judge.identity) for q in asked])
    again = import_batch(judge, asked, [whole, part, whole], store)
    assert (store.totals(), store.counts()) == (cost, counts)
    assert store.get(list(first)) == first and again.missing == 0
    assert sum(counts.values()) == len(PAIRS)
    assert export_batch(judge, asked, FRAMES, store, tmp_path / "none.jsonl") == []
    assert not (tmp_path / "none.jsonl").exists()


def test_an_answer_that_stands_is_not_changed(tmp_path, store):
    judge, asked = labeler(), questions()
    lines = [
        answered(r) for r in requests_in(export_batch(judge, asked, FRAMES, store, tmp_path / "b.jsonl"))
    ]
    with chat_server() as server:  # without log probabilities: p is 0 or 1
        before = label_pairs(ChatLabeler(config(server)), asked, FRAMES, store)
    import_batch(judge, asked, [write(tmp_path / "answers.jsonl", lines)], store)
    assert label_pairs(judge, asked, FRAMES, store) == before


def test_failures_stay_apart_and_are_asked_again(tmp_path, store):
    judge, asked = labeler(), questions()
    requests = requests_in(export_batch(judge, asked, FRAMES, store, tmp_path / "b.jsonl"))
    lines = [answered(r) for r in requests]
    lines[0]["response"]["body"]["choices"][0]["message"] = {"content": None, "refusal": "no"}
    lines[1]["response"]["body"]["choices"][0]["message"] = {"content": "well..."}
    lines[2] = answered(requests[2], response={"status_code": 500, "body": {"error": {"message": "oh"}}})
    lines[3] = answered(requests[3], response=None, error={"code": "batch_expired", "message": "too late"})
    path = write(tmp_path / "answers.jsonl", lines)
    with path.open("a") as file:
        file.write('{"custom_id": "cut o')
    for _ in range(2):
        found = import_batch(judge, asked, [path], store)
        assert found.outcomes["failed"] == 4 and found.damaged == 1 and found.missing == 0
        assert sorted(found.reasons) == [
            "batch: status 200: too late",
            "batch: status 500: oh",
            "malformed: well...",
            "refused: no",
        ]
        assert found.tokens == 100 * (len(PAIRS) - 2)
    assert store.counts()[Outcome.FAILED] == 0 and sum(store.counts().values()) == len(PAIRS) - 4
    again = export_batch(judge, asked, FRAMES, store, tmp_path / "again.jsonl")
    assert [r["custom_id"] for r in requests_in(again)] == [r["custom_id"] for r in requests[:4]]
    retried = write(tmp_path / "retried.jsonl", [answered(r) for r in requests_in(again)])
    assert import_batch(judge, asked, [path, retried], store).reasons == {}


def test_both_orders_wait_for_each_other(tmp_path, store):
    judge, asked = labeler(both_orders="always"), questions()
    lines = [
        answered(r) for r in requests_in(export_batch(judge, asked, FRAMES, store, tmp_path / "b.jsonl"))
    ]
    assert len(lines) == 2 * len(PAIRS)
    own, other = (write(tmp_path / f"{i}.jsonl", lines[i::2]) for i in (0, 1))
    assert import_batch(judge, asked, [own], store).missing == len(PAIRS)
    assert sum(store.counts().values()) == 0
    assert import_batch(judge, asked, [other, own], store).missing == 0


def test_large_batches_are_several_files(tmp_path, store):
    judge, asked = labeler(), questions()
    paths = export_batch(judge, asked, FRAMES, store, tmp_path / "b.jsonl", max_requests=5)
    assert [p.name for p in paths] == ["b.jsonl", "b-2.jsonl", "b-3.jsonl"]
    assert [len(requests_in([p])) for p in paths] == [5, 5, 3]
    size = max(len(line) + 1 for p in paths for line in p.read_bytes().splitlines())
    small = export_batch(judge, asked, FRAMES, store, tmp_path / "s.jsonl", max_bytes=3 * size)
    assert len(small) > 3 and all(p.stat().st_size <= 3 * size for p in small)
    assert sorted(map(str, requests_in(small))) == sorted(map(str, requests_in(paths)))


def test_bad_input(tmp_path, store):
    asked = questions()
    with pytest.raises(BadInput, match="'two-stage-1' makes several calls"):
        export_batch(labeler(prompt="two-stage-1"), asked, FRAMES, store, tmp_path / "b.jsonl")
    paths = export_batch(labeler(), asked, FRAMES, store, tmp_path / "b.jsonl")
    answers = write(tmp_path / "a.jsonl", [answered(r) for r in requests_in(paths)])
    with pytest.raises(BadInput, match="none of its 13 answers is about these pairs under these settings"):
        import_batch(labeler(temperature=1.0), asked, [answers], store)
    with pytest.raises(BadInput, match="gone.jsonl: the answers cannot be read: No such file"):
        import_batch(labeler(), asked, [tmp_path / "gone.jsonl"], store)
    with pytest.raises(BadInput, match="the batch cannot be written here"):
        export_batch(labeler(), asked, FRAMES, store, answers / "b.jsonl")
    assert sum(store.counts().values()) == 0
