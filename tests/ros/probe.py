"""A robot and a person for the tests of nodes: real processes of ours on one side, this one on the other."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rclpy
import yaml
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger

from robot_rl.deploy.graph import NodeSpec
from robot_rl.deploy.launcher import Processes, environment
from robot_rl.specs.robot_contract import RobotContract

# Each test speaks in a domain of its own, so that tests side by side do not hear one another.
_DOMAINS = itertools.count(100 + os.getpid() % 100)
PATIENCE = 30.0  # s
# Who comes later still hears the last message.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def domain() -> int:
    """A DDS domain of one's own."""
    return next(_DOMAINS)


def write_contract(contract: RobotContract, folder: Path) -> str:
    """Write a contract as a file and return its path."""
    path = folder / f"{contract.name}.yaml"
    path.write_text(yaml.safe_dump(contract.model_dump(mode="json", exclude_unset=True)))
    return str(path)


@contextmanager
def running(specs: list[NodeSpec], number: int, logs: Path) -> Iterator[Processes]:
    """Run nodes as processes in a domain."""
    env = environment(local=True, images=False) | {"ROS_DOMAIN_ID": str(number), "MUJOCO_GL": "egl"}
    with Processes(specs, "", env, logs) as processes:
        yield processes


class Probe:
    """A node in this process: publishes the source `x`, wishes and teleoperation; notes all commands."""

    def __init__(self, number: int) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=number)
        self.node = rclpy.create_node("probe", context=self.context)
        self.commands: list[tuple[float, float]] = []  # (s, value)
        self.states: list[str] = []
        self._publishers: dict = {}
        self.node.create_subscription(Float64MultiArray, "command", self._commanded, 10)
        self.node.create_subscription(String, "guard/state", lambda m: self.states.append(m.data), 10)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._lock, self._jobs = threading.Lock(), []
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._alive = True
        self._thread.start()

    def _spin(self) -> None:
        while self._alive:
            self._executor.spin_once(timeout_sec=0.005)
            with self._lock:
                jobs, self._jobs = self._jobs, []
            for job in jobs:
                job()

    def _commanded(self, message: Float64MultiArray) -> None:
        self.commands.append((time.monotonic(), message.data[0]))

    def publish(self, topic: str, message: object) -> None:
        """Publish on a topic, making its publisher at first use."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(type(message), topic, 10)
        self._publishers[topic].publish(message)

    def say(self, topic: str, message: object) -> None:
        """Publish once, when somebody listens: what is said before that is lost."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(type(message), topic, 10)
        wait_for(self._publishers[topic].get_subscription_count)
        self._publishers[topic].publish(message)

    def joint(self, topic: str, value: float, name: str = "a", frame: str = "") -> None:
        """Publish a JointState of one joint, stamped now."""
        message = JointState(name=[name], position=[value])
        message.header.stamp = self.node.get_clock().now().to_msg()
        message.header.frame_id = frame
        self.publish(topic, message)

    @contextmanager
    def publishing(self, rate: float, act: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Do something at a rate until the block ends, or the function that is given is called.

        After the block it is done no more: what was still waiting has been done before it ends.
        """
        stop = threading.Event()

        def loop() -> None:
            while not stop.wait(1 / rate):
                with self._lock:
                    self._jobs.append(act)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield stop.set
        finally:
            stop.set()
            thread.join()
            done = threading.Event()
            with self._lock:
                self._jobs.append(done.set)
            assert done.wait(PATIENCE), "the probe's thread has ended"

    def ask(self, service: str, kind: type, **fields: object):
        """Call a service and return its answer."""
        client = self.node.create_client(kind, service)
        assert client.wait_for_service(PATIENCE), f"no service {service}"
        future = client.call_async(kind.Request(**fields))
        wait_for(future.done)
        return future.result()

    def enable(self) -> None:
        """Enable the guard as soon as it agrees."""
        wait_for(lambda: self.ask("guard_node/enable", SetBool, data=True).success)

    def estop(self) -> None:
        """Press the e-stop."""
        assert self.ask("guard_node/estop", Trigger).success

    def close(self) -> None:
        """Leave the graph."""
        self._alive = False
        self._thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def wait_for(reached: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def kill(processes: Processes, name: str) -> None:
    """Kill a node as a crash would."""
    processes.children[name].send_signal(signal.SIGKILL)
    processes.children[name].wait()
