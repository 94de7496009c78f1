"""Updates a second of our learners beside d3rlpy's and beside the bare matrix products, and loading speed.

All contestants of a comparison take turns in one process, several rounds, so that a busy machine slows all of
them; a ratio is the median of the rounds' own ratios. Both sides sample their batches, 256 transitions of
39-D states and 4-D actions, two hidden layers of 256.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["OMP_NUM_THREADS"] = "2"

import numpy as np
import torch

from robot_rl.data.replay import Transitions
from robot_rl.learners.cuda_graph import CAPTURED, CapturedUpdate
from robot_rl.learners.d3rlpy_adapter import import_d3rlpy, to_replay_buffer
from robot_rl.learners.train import TrainConfig, make_learner, make_table
from tests.benchmarks._loading import loading
from tests.benchmarks._rows import Row, report

THREADS = 2
STATE, ACTION, BATCH, HIDDEN = 39, 4, 256, (256, 256)
COUNT, STEPS = 50_000, 200  # transitions, and how many make an episode
UTD, CRITICS = 20, 10  # of RLPD


def transitions() -> Transitions:
    """Noise in episodes of 200 steps that run out of time."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(COUNT + 1, STATE)).astype(np.float32)
    ends = np.arange(COUNT) % STEPS == STEPS - 1
    actions = rng.uniform(-0.99, 0.99, (COUNT, ACTION)).astype(np.float32)
    rewards = rng.normal(size=COUNT).astype(np.float32)
    ones = np.ones(COUNT, np.float32)
    return Transitions(states[:-1], actions, rewards, ones, states[1:], ends, np.arange(COUNT))


def ours(algorithm: str, data: Transitions, slices: int = 1, **settings: object) -> Callable[[], object]:
    """One update of ours, sampling included."""
    config = TrainConfig(algorithm, batch_size=BATCH, hidden=HIDDEN, settings=settings)
    generator = torch.Generator().manual_seed(0)
    learner, table = make_learner(config, STATE, ACTION, generator), make_table(data, config)
    return lambda: learner.update(table.sample(BATCH * slices, generator))


def theirs(name: str, buffer: object, **settings: object) -> Callable[[], object]:
    """One update of d3rlpy's, sampling included."""
    algorithm = getattr(import_d3rlpy().algos, f"{name}Config")(batch_size=BATCH, **settings).create(False)
    algorithm.create_impl((STATE,), ACTION)
    return lambda: algorithm.update(buffer.sample_transition_batch(BATCH))


def products(
    count: int, sizes: tuple[int, ...], forwards: int, backwards: int, rows: int = BATCH
) -> list[Callable[[], object]]:
    """The matrix products of so many passes of `rows` through `count` networks, into memory of their own.

    A forward pass has one product a layer; a backward pass one for each layer's weights and one for what
    reaches each layer but the first.
    """
    calls = []
    for layer, (size_in, size_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        x, weight = torch.randn(count, rows, size_in), torch.randn(count, size_in, size_out)
        y, grad = torch.randn(count, rows, size_out), torch.empty(count, size_in, size_out)
        back = torch.empty(count, rows, size_in)
        for _ in range(forwards):
            calls.append(lambda x=x, w=weight, y=y: torch.bmm(x, w, out=y))
        for _ in range(backwards):
            calls.append(lambda x=x, g=grad, y=y: torch.bmm(x.transpose(1, 2), y, out=g))
            if layer:
                calls.append(lambda y=y, w=weight, b=back: torch.bmm(y, w.transpose(1, 2), out=b))
    return calls


def iql_products() -> Callable[[], object]:
    """The products of one IQL update.

    Three layers each. Forward: the two target critics, V(s'), V(s), the two critics, the actor: 5 x 3.
    Backward: V, the two critics, the actor: 3 x 3 for weights and 3 x 2 for what reaches a layer. These are
    30 calls, as the products of two critics are one batched call; singly there are 42.
    """
    critic, value, actor = (STATE + ACTION, *HIDDEN, 1), (STATE, *HIDDEN, 1), (STATE, *HIDDEN, ACTION)
    calls = [
        *products(2, critic, forwards=2, backwards=1),
        *products(1, value, forwards=2, backwards=1),
        *products(1, actor, forwards=1, backwards=1),
    ]
    assert len(calls) == 30
    return lambda: [call() for call in calls]


def rates(contestants: dict[str, tuple[Callable[[], object], int]], rounds: int) -> dict[str, list[float]]:
    """Calls a second, one figure a round, for name -> (call, how many a round)."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for k in range(rounds + 1):  # the first warms up
        for name, (call, count) in contestants.items():
            start = time.perf_counter()
            for _ in range(count):
                call()
            if k:
                found[name].append(count / (time.perf_counter() - start))
    return found


def ratio(found: dict[str, list[float]], a: str, b: str, factor: float = 1.0) -> float:
    """Median over the rounds of a's rate over b's."""
    return statistics.median(factor * x / y for x, y in zip(found[a], found[b], strict=True))


def speed(name: str, found: dict[str, list[float]], key: str, note: str) -> Row:
    return Row.of(name, round(statistics.median(found[key]), 1), "updates/s", None, note)


def times(name: str, value: float, goal: tuple[str, float] | None, note: str = "") -> Row:
    """A ratio's row."""
    return Row.of(name, round(value, 3), "", goal, note or "median of the rounds' ratios")


def iql_rows(data: Transitions, buffer: object, rounds: int) -> list[Row]:
    """IQL with two threads, which the goals are about, and with one."""
    gemm = iql_products()
    rows = []
    for threads in (THREADS, 1):
        torch.set_num_threads(threads)
        contestants = {
            "ours": (ours("iql", data), 60),
            "d3rlpy": (theirs("IQL", buffer), 20),
            "gemm": (gemm, 80),
        }
        found, end = rates(contestants, rounds), "" if threads == THREADS else "_1_thread"
        note = f"{threads} threads, median of {rounds} rounds, load {os.getloadavg()[0]:.1f}"
        over, share = ((">=", 3), (">=", 0.7)) if threads == THREADS else (None, None)
        rows += [
            speed(f"iql{end}", found, "ours", f"sampling included; {note}"),
            speed(f"d3rlpy_iql{end}", found, "d3rlpy", "sampling included"),
            speed(f"iql_gemm_limit{end}", found, "gemm", "the update's matrix products alone"),
            times(f"iql_over_d3rlpy{end}", ratio(found, "ours", "d3rlpy"), over),
            times(f"iql_share_of_gemm_limit{end}", ratio(found, "ours", "gemm"), share),
            times(
                f"gemm_limit_over_d3rlpy{end}",
                ratio(found, "gemm", "d3rlpy"),
                None,
                "what iql_over_d3rlpy would be if all but the products cost nothing",
            ),
        ]
    torch.set_num_threads(THREADS)
    return rows


def calql_products(n: int = 10) -> Callable[[], object]:
    """The products of one Cal-QL update with n sampled actions each.

    The target critics on n next actions; the critics on the data's action and 3 n sampled ones, and back; the
    critics on the actor's action, and back to it; the actor at s, back too, and at s'.
    """
    critic, actor = (STATE + ACTION, *HIDDEN, 1), (STATE, *HIDDEN, 2 * ACTION)
    calls = [
        *products(2, critic, forwards=1, backwards=0, rows=n * BATCH),
        *products(2, critic, forwards=1, backwards=1, rows=(3 * n + 1) * BATCH),
        *products(2, critic, forwards=2, backwards=0),
        *products(1, actor, forwards=2, backwards=1),
    ]
    return lambda: [call() for call in calls]


def calql_rows(data: Transitions, buffer: object, rounds: int) -> list[Row]:
    """Cal-QL with 10 sampled actions each of uniform, pi(s), pi(s') and the target's maximum, both alike."""
    # No Lagrange multiplier (ours has none), and the best of 10 next actions in the target, as in ours.
    like_ours = {"n_action_samples": 10, "max_q_backup": True, "alpha_learning_rate": 0.0}
    contestants = {
        "ours": (ours("calql", data, n_actions=10, max_backup=True), 6),
        "d3rlpy": (theirs("CalQL", buffer, **like_ours), 2),
        "gemm": (calql_products(), 6),
    }
    found = rates(contestants, rounds)
    return [
        speed("calql", found, "ours", f"{THREADS} threads, sampling included, {rounds} rounds"),
        speed("d3rlpy_calql", found, "d3rlpy", "max_q_backup on, alpha fixed, as in ours"),
        times("calql_over_d3rlpy", ratio(found, "ours", "d3rlpy"), (">=", 3)),
        times("calql_share_of_gemm_limit", ratio(found, "ours", "gemm"), None),
        times(
            "calql_gemm_limit_over_d3rlpy",
            ratio(found, "gemm", "d3rlpy"),
            None,
            "what calql_over_d3rlpy would be if all but the products cost nothing",
        ),
    ]


def rlpd_rows(data: Transitions, buffer: object, rounds: int) -> list[Row]:
    """RLPD, whose update is 20 critic updates and 1 of the actor, beside SAC's, which is 1 and 1."""
    d3rlpy = import_d3rlpy()
    layers = d3rlpy.models.VectorEncoderFactory(list(HIDDEN), use_layer_norm=True)
    settings = {"n_critics": CRITICS, "critic_encoder_factory": layers}
    contestants = {
        "ours": (ours("rlpd", data, slices=UTD, critics=CRITICS, utd=UTD), 1),
        "d3rlpy": (theirs("SAC", buffer, **settings), 6),
    }
    found = rates(contestants, rounds)
    found["critic"] = [UTD * rate for rate in found["ours"]]
    return [
        speed("rlpd_critic", found, "critic", f"critic updates; {CRITICS} critics with LayerNorm, UTD {UTD}"),
        speed("d3rlpy_sac", found, "d3rlpy", f"{CRITICS} critics with LayerNorm; an actor update with each"),
        times(
            "rlpd_over_d3rlpy",
            ratio(found, "ours", "d3rlpy", UTD),
            (">=", 3),
            "critic updates; d3rlpy's SAC updates its actor as often as its critics",
        ),
    ]


def gpu_rows(data: Transitions, rounds: int) -> list[Row]:
    """Updates of iql and bc on a GPU, where there is one: captured, kernel after kernel, and on the CPU."""
    if not torch.cuda.is_available():
        return [Row("gpu", 0.0, "", note="none: nothing was measured on one")]
    rows = []
    for algorithm in CAPTURED:
        contestants = {
            "captured": (on_gpu(algorithm, data, captured=True), 10),
            "eager": (on_gpu(algorithm, data, captured=False), 2),
            "cpu": (ours(algorithm, data), 200),
        }
        found = rates(contestants, rounds)  # one call on the GPU is 100 updates: the host runs ahead of it
        rate, over_cpu = 100 * statistics.median(found["captured"]), 100 * ratio(found, "captured", "cpu")
        rows += [
            Row.of(f"{algorithm}_gpu", round(rate), "updates/s", None, torch.cuda.get_device_name()),
            Row.of(f"{algorithm}_gpu_over_eager", round(ratio(found, "captured", "eager"), 2), "ratio", None),
            Row.of(f"{algorithm}_gpu_over_cpu", round(over_cpu, 2), "ratio", None, f"{THREADS} threads"),
        ]
    return rows


def on_gpu(algorithm: str, data: Transitions, captured: bool) -> Callable[[], None]:
    """100 updates of ours, sampling included, until the GPU is done with them."""
    config, generator = TrainConfig(algorithm, batch_size=BATCH, hidden=HIDDEN), torch.Generator()
    table = make_table(data, config).to("cuda")
    learner = make_learner(config, STATE, ACTION, generator.manual_seed(0), "cuda")
    update = CapturedUpdate(learner, table, BATCH, torch.device("cuda")) if captured else None

    def call() -> None:
        for _ in range(100):
            rows = torch.randint(len(table), (BATCH,), generator=generator)
            update(rows) if update else learner.update(table.rows(rows.cuda()))
        torch.cuda.synchronize()

    return call


def main() -> None:
    """Run the benchmark; `--quick` does few rounds and loads a tenth, to see that it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rounds = 2 if quick else 7
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)
    data = transitions()
    buffer = to_replay_buffer(data)
    rows = iql_rows(data, buffer, rounds)
    for name, measure in (("calql", calql_rows), ("rlpd", rlpd_rows)):
        if importlib.util.find_spec(f"robot_rl.learners.{name}"):
            rows += measure(data, buffer, rounds)
        else:
            rows.append(Row(f"{name}_over_d3rlpy", 0.0, "", note=f"robot_rl.learners.{name} is not there"))
    rows += loading(100_000 if quick else 1_000_000, 3 if quick else 5)
    report("learners", [*rows, *gpu_rows(data, rounds)])


if __name__ == "__main__":
    main()
