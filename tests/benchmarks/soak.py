"""Ten minutes of a deployed policy at 50 Hz with a camera and swaps: memory and handles must not grow.

Run by `make bench NAME=soak`; another number of seconds may follow the file's name.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from std_msgs.msg import String

from robot_rl.deploy.graph import Deployment, nodes
from robot_rl.deploy.launcher import Processes, environment
from tests.benchmarks._robot import BenchRobot, checkpoint, contract, memory_and_handles
from tests.benchmarks._rows import Row, report

SECONDS, WARM, SWAP_EVERY, DOMAIN, SLOPE = 600.0, 60.0, 5.0, 92, 0.5
GROWTH = 2.0  # MiB; what counts as none, against a resident size of about 100


def run_for(robot: BenchRobot, runs: list[Path], seconds: float) -> None:
    """Go on for a while, exchanging weights."""
    for k in range(max(1, int(seconds / SWAP_EVERY))):
        robot.weights.publish(String(data=str(runs[k % 2])))
        robot.run(SWAP_EVERY)


def main() -> None:
    """Warm up, look, go on, look again, and write the rows."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    folder = Path(tempfile.mkdtemp(prefix="robot_rl_bench_"))
    run = checkpoint(folder / "run", SLOPE)
    runs = [checkpoint(run / "a", SLOPE), checkpoint(run / "b", SLOPE)]
    env = environment(local=True, images=True) | {"ROS_DOMAIN_ID": str(DOMAIN)}
    os.environ.update(env)  # the robot is in this process
    deployment = Deployment(str(contract(folder)), str(run), enable=True)
    with Processes(nodes(deployment), "", env, folder / "logs") as processes:
        robot = BenchRobot(DOMAIN, SLOPE)
        run_for(robot, runs, min(WARM, seconds / 4))
        before = {name: memory_and_handles(child.pid) for name, child in processes.children.items()}
        run_for(robot, runs, seconds - min(WARM, seconds / 4))
        after = {name: memory_and_handles(child.pid) for name, child in processes.children.items()}
        robot.close()
    found = []
    for name in before:
        (memory, handles), (memory_after, handles_after) = before[name], after[name]
        note = f"{memory:.1f} to {memory_after:.1f} MiB in {seconds:.0f} s"
        found.append(Row.of(f"{name}_memory", memory_after - memory, "MiB", ("<=", GROWTH), note))
        found.append(
            Row.of(f"{name}_handles", float(handles_after - handles), "", ("<=", 0), f"of {handles}")
        )
    report("soak", found)


if __name__ == "__main__":
    main()
