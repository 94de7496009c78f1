"""The chat labeler against a loopback endpoint in a process of its own: labels a second, calls a label,
calls of a rerun, and what becomes of each pair where the endpoint misbehaves.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from robot_rl.preferences.chat.config import ChatConfig
from robot_rl.preferences.chat.images import data_uri
from robot_rl.preferences.chat.labeler import ChatLabeler
from robot_rl.preferences.run import label_pairs, make_questions
from robot_rl.preferences.store import LabelStore
from robot_rl.preferences.types import Outcome, Pair, Preference, Question
from tests.benchmarks._rows import Row, report
from tests.preferences.chat_server import fault_of, verdict

ROOT = Path(__file__).resolve().parents[2]
LATENCY, IN_FLIGHT = 0.2, 64  # s, requests
POSSIBLE = IN_FLIGHT / LATENCY  # labels/s
# Half of the time-outs and malformed replies come again at each try, half of them only once.
FAULTS = {
    "busy": 0.05, "timeout": 0.01, "timeout_once": 0.01, "malformed": 0.01, "malformed_once": 0.01,
    "refusal": 0.01,
}  # fmt: skip
ERRORS = {"timeout": "timed out", "malformed": "malformed", "refusal": "refused"}
SIDE, FRAMES = 84, 512  # px, distinct pictures


@contextlib.contextmanager
def endpoint(**behaviour: object) -> Iterator[str]:
    """Run the loopback endpoint in another process; yields its address."""
    command = [sys.executable, "-m", "tests.preferences.chat_server", json.dumps(behaviour)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.terminate()
        process.wait()


def calls_of(url: str) -> int:
    """How many calls an endpoint has had, the test question of each run included."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as reply:
        return json.load(reply)["calls"]


def pictures(seed: int = 0) -> np.ndarray:
    """Pictures (FRAMES, SIDE, SIDE, 3) uint8, no two alike, of all brightnesses; eight are all but black."""
    rng = np.random.default_rng(seed)
    level = np.linspace(0, 220, FRAMES)[:, None, None, None]
    images = (level + rng.uniform(0, 35, (FRAMES, SIDE, SIDE, 3))).astype(np.uint8)
    images[:8] = rng.integers(0, 4, (8, SIDE, SIDE, 3))
    return images


def pairs(count: int, seed: int = 1) -> list[Pair]:
    """Different pairs of different pictures."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(FRAMES * FRAMES)[: 3 * count]
    return [Pair(int(i // FRAMES), int(i % FRAMES)) for i in chosen if i // FRAMES < i % FRAMES][:count]


def run(
    config: ChatConfig, questions: Sequence[Question], images: np.ndarray, store: Path, batch: int
) -> tuple[list[Preference], float]:
    """Label through the store as `robot-rl label` does; returns answers and seconds, test question apart."""
    labeler = ChatLabeler(config)
    with LabelStore(store) as labels:
        if labels.get([questions[0].key(labeler.name, labeler.identity)]) == {}:
            labeler.probe()
        start = time.monotonic()
        answers = label_pairs(labeler, questions, lambda i: images[i], labels, batch_size=batch)
        return answers, time.monotonic() - start


def speed(count: int, folder: Path) -> list[Row]:
    """Labels a second with everything in order, and what a rerun costs."""
    images = pictures()
    questions = make_questions(pairs(count), lambda i: images[i], "open the drawer", "close the drawer")
    rows = []
    with endpoint(latency=LATENCY) as url:
        config = ChatConfig(url, "toy", concurrency=IN_FLIGHT)
        for batch, goal in ((len(questions), (">=", 0.8)), (512, None)):
            before, store = calls_of(url), folder / f"speed-{batch}.sqlite"
            answers, seconds = run(config, questions, images, store, batch)
            calls, rate = calls_of(url) - before - 1, len(answers) / seconds
            note = (
                f"{len(answers)} labels, batches of {batch}, in {seconds:.1f} s; {SIDE} px, load {load():.1f}"
            )
            rows.append(Row.of(f"labels_per_s/batch_{batch}", round(rate, 1), "1/s", None, note))
            name = "share_of_possible" if goal else f"share_of_possible/batch_{batch}"
            rows.append(Row.of(name, round(rate / POSSIBLE, 3), "", goal, f"of {POSSIBLE:.0f} labels/s"))
            if goal:
                per_label = calls / len(answers)
                rows.append(Row.of("calls_per_label", per_label, "", ("<=", 1), "and one test question"))
                before = calls_of(url)
                again, _ = run(config, questions, images, store, batch)
                rows.append(Row.of("rerun_calls", calls_of(url) - before, "", ("<=", 0), "the same labels"))
                assert again == answers
    return rows


def load() -> float:
    """How busy the machine is."""
    return os.getloadavg()[0]


def faults(count: int, folder: Path) -> list[Row]:
    """With an endpoint that misbehaves, in which of the outcomes every pair ends."""
    images = pictures()
    questions = make_questions(pairs(count), lambda i: images[i], "open the drawer", "close the drawer")
    with endpoint(latency=0.05, faults=FAULTS, retry_after="0.2") as url:
        config = ChatConfig(
            url, "toy", concurrency=IN_FLIGHT, timeout=1.5, retries=2, backoff=0.1, image_format="png"
        )
        answers, seconds = run(config, questions, images, folder / "faults.sqlite", len(questions))
        rows, wrong = [], 0
        met: Counter[str] = Counter()
        for question, answer in zip(questions, answers, strict=True):
            uris = [data_uri(images[i], config) for i in question.shown]
            fault = fault_of(*uris, FAULTS)
            met[fault or "none"] += 1
            wrong += not as_it_should(answer, fault, [float(images[i].mean()) for i in question.shown])
        ended = Counter(answer.outcome.value for answer in answers)
        note = f"{len(answers)} pairs in {seconds:.1f} s; met: {dict(sorted(met.items()))}"
        rows.append(Row.of("faults/wrong_outcomes", wrong, "pairs", ("<=", 0), note))
        rows += [Row.of(f"faults/{o.value}", ended[o.value], "pairs", None) for o in Outcome]
    return rows


def as_it_should(answer: Preference, fault: str, levels: list[float]) -> bool:
    """Whether a pair ended as it must, given what happened to it."""
    if fault in ERRORS:
        return answer.outcome is Outcome.FAILED and answer.error.startswith(ERRORS[fault])
    choice, _ = verdict(levels)
    if choice in ("tie", "cannot_tell"):
        return answer.outcome.value == choice
    return answer.outcome is Outcome.PREFERENCE and answer.p == float(choice == "second")


def main() -> None:
    """Run the benchmark; `--quick` asks about fewer pairs, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    count = 640 if parser.parse_args().quick else 6400
    with tempfile.TemporaryDirectory(prefix="labeling-") as folder:
        report("labeling", [*speed(count, Path(folder)), *faults(min(count, 3200), Path(folder))])


if __name__ == "__main__":
    main()
