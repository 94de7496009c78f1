"""Tries a policy on a simulated robot over ROS: one episode a seed, enabled and disabled like a real robot.

Writes the results (JSON) to the file that the parameter `results` names, and ends.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from robot_rl.errors import RobotRLError
from robot_rl.policies.checkpoint import write_atomically
from robot_rl_deployment.common import LATEST, RELIABLE, WISH, contract_of, parameter, run

_PATIENCE = 30.0  # s for another node to answer


class TrialNode(Node):
    """Resets, enables, watches until success or the time is up, disables; once a seed."""

    def __init__(self) -> None:
        super().__init__("trial_node")
        self.contract = contract_of(self)
        first, count = parameter(self, "first_seed", 10_000), parameter(self, "episodes", 10)
        self.seeds = list(range(first, first + count))
        self.steps = parameter(self, "steps", 200)  # of control, an episode
        self.results = Path(parameter(self, "results", "trials.json"))
        self.rows: list[dict] = []
        self.seen: dict = {}
        self.wished = False  # whether the policy has wished since it was last looked at
        self.create_subscription(String, "sim/episode", self._heard, RELIABLE)
        self._seed = self._client(SetParameters, "sim_robot_node/set_parameters")
        self._reset = self._client(Trigger, "sim_robot_node/reset")
        self._enable = self._client(SetBool, "guard_node/enable")
        self._forget = self._client(Trigger, "guard_node/reset")
        self.create_subscription(JointState, WISH, self._wished, LATEST)
        if parameter(self, "recorded", False):
            ready = self._client(Trigger, "recorder_node/ready")
            self._until_success(lambda: self._ask(ready, Trigger.Request()), "the recorder is not ready")

    def _client(self, kind: type, name: str):
        client = self.create_client(kind, name)
        if not client.wait_for_service(_PATIENCE):
            raise RobotRLError(
                f"trial_node: no service '{name}' after {_PATIENCE:g} s; is that node running?"
            )
        return client

    def _heard(self, message: String) -> None:
        self.seen = json.loads(message.data)

    def _ask(self, client, request):
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self, future, timeout_sec=_PATIENCE)
        if not future.done():
            raise RobotRLError(f"trial_node: no answer from '{client.srv_name}' in {_PATIENCE:g} s")
        return future.result()

    def play(self) -> None:
        """Play all episodes, and write what was found after each."""
        for seed in self.seeds:
            self.rows.append(self._episode(seed))
            done = {"robot": self.contract.name, "episodes": self.rows, "asked": len(self.seeds)}
            write_atomically(self.results, (json.dumps(done, indent=2) + "\n").encode())
            row = self.rows[-1]
            told = "success" if row["success"] else "no success"
            print(
                f"episode {len(self.rows)}/{len(self.seeds)}: {told} after {row['steps']} steps", flush=True
            )

    def _episode(self, seed: int) -> dict:
        value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=seed)
        self._ask(self._seed, SetParameters.Request(parameters=[Parameter(name="seed", value=value)]))
        self._ask(self._reset, Trigger.Request())
        self._wait_for(lambda: self.seen.get("seed") == seed and self.seen["steps"] == 0)
        self.wished = False
        self._wait_for(lambda: self.wished)  # right after the start, the policy may need a moment
        self._until_success(self._enabled, "the guard refuses")
        began = self.seen["steps"]
        self._wait_for(lambda: self.seen["success"] or self.seen["steps"] - began >= self.steps)
        row = {**self.seen, "steps": self.seen["steps"] - began}
        self._ask(self._enable, SetBool.Request(data=False))
        return row

    def _enabled(self):
        """Enable the guard, whatever stopped it before: in a simulation nobody has to look."""
        answer = self._ask(self._enable, SetBool.Request(data=True))
        if not answer.success:
            self._ask(self._forget, Trigger.Request())
        return answer

    def _wished(self, _) -> None:
        self.wished = True

    def _until_success(self, ask, told: str) -> None:
        """Ask a service again until it succeeds."""
        deadline = time.monotonic() + _PATIENCE
        while not (answer := ask()).success:
            if time.monotonic() > deadline:
                raise RobotRLError(f"trial_node: {told}: {answer.message}")
            rclpy.spin_once(self, timeout_sec=0.1)

    def _wait_for(self, reached) -> None:
        deadline = time.monotonic() + _PATIENCE + 2 * self.steps * self.contract.period
        while not reached():
            rclpy.spin_once(self, timeout_sec=0.1)
            if time.monotonic() > deadline:
                raise RobotRLError("trial_node: the simulation does not go on; see what its node printed")


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(TrialNode, args, TrialNode.play)


if __name__ == "__main__":
    sys.exit(main())
