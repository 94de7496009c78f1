"""Starts a deployment's nodes as processes, for machines that have rclpy from pip but no `ros2 launch`.

All end together: when one that is essential ends, or at Ctrl-C, the policy goes first, and the guard's stop
command is the last that the robot hears. A recorder ends after that: it may take time to write.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from robot_rl.deploy.graph import PACKAGE, NodeSpec
from robot_rl.errors import RobotRLError, need_installed
from robot_rl.specs.paths import outside

_LAST = ("guard_node", "go2_driver_node", "sim_robot_node", "recorder_node")
_PR_SET_PDEATHSIG = 1
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)  # Linux alone has it
_RANGE, _RMW = "ROS_AUTOMATIC_DISCOVERY_RANGE", "RMW_IMPLEMENTATION"
_PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # of Fast DDS 2 and 3
_LOOPBACK = Path(__file__).with_name("loopback.xml")


def command(spec: NodeSpec, namespace: str, folder: Path) -> list[str]:
    """The command line of one node; its parameters go into a file in `folder`."""
    file = folder / f"{spec.executable}.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": spec.parameters}}))
    arguments = ["--ros-args", "--params-file", str(file)]
    if namespace:
        arguments += ["-r", f"__ns:=/{namespace.strip('/')}"]
    return [sys.executable, "-m", f"{PACKAGE}.{spec.executable}", *arguments]


def environment(local: bool, images: bool, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The nodes' environment: where their package lies, and what DDS needs; what the user set is kept.

    `local` keeps a simulation's topics on this machine; `images` lets large messages through.
    """
    found = dict(base)
    places = [str(outside("ros_ws", "src") / PACKAGE), str(Path(__file__).resolve().parents[2])]
    found["PYTHONPATH"] = os.pathsep.join([*places, *filter(None, [base.get("PYTHONPATH")])])
    if local:
        found |= _on_this_machine(base)
    elif not any(name in base for name in _PROFILES):
        # Shared memory, which the default has besides, holds up control where a process joins (loopback.xml).
        found.setdefault("FASTDDS_BUILTIN_TRANSPORTS", "LARGE_DATA" if images else "UDPv4")
    # Numeric libraries with threads of their own would take the control loop's core.
    found.setdefault("OMP_NUM_THREADS", "1")
    return found


def _on_this_machine(base: Mapping[str, str]) -> dict[str, str]:
    """What keeps topics on this machine: loopback.xml, or ROS's own range where the user chose otherwise."""
    fast_dds = base.get(_RMW, "rmw_fastrtps").startswith("rmw_fastrtps")
    if not fast_dds or any(name in base for name in (_RANGE, *_PROFILES)):
        return {_RANGE: base.get(_RANGE, "LOCALHOST")}
    # The range LOCALHOST would bring shared memory back.
    return {_RANGE: "SUBNET", **dict.fromkeys(_PROFILES, str(_LOOPBACK))}


def _end_with_parent() -> None:
    """In a child of ours on Linux: end, as at Ctrl-C, should we be killed; nobody would watch over it."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Processes:
    """The running nodes of a deployment; use in a `with`, whose end stops them in order."""

    def __init__(
        self, specs: Sequence[NodeSpec], namespace: str, env: Mapping[str, str], log: Path | None = None
    ) -> None:
        need_installed("rclpy", "ros")
        self._specs, self._namespace, self._env, self._log = specs, namespace, env, log
        self.children: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Processes:
        self._folder = TemporaryDirectory(prefix="robot_rl_")
        if self._log:
            self._log.mkdir(parents=True, exist_ok=True)
        for spec in self._specs:
            self._start(spec, "wb")
        return self

    def _start(self, spec: NodeSpec, mode: str) -> None:
        line = command(spec, self._namespace, Path(self._folder.name))
        quiet = self._log is not None and not spec.terminal
        out = (self._log / f"{spec.executable}.log").open(mode) if quiet else None
        # A session of their own: the terminal's Ctrl-C must reach us alone, for the order of the end.
        self.children[spec.executable] = subprocess.Popen(
            line, env=dict(self._env), stdout=out, stderr=subprocess.STDOUT if out else None,
            stdin=None if spec.terminal else subprocess.DEVNULL, start_new_session=True,
            preexec_fn=_end_with_parent,
        )  # fmt: skip
        if out:
            out.close()

    def restart(self) -> list[str]:
        """Start those anew that were killed by a signal, where they may be; returns their names."""
        killed = [spec for spec in self._specs if spec.respawn and self._killed(spec.executable)]
        for spec in killed:
            self._start(spec, "ab")
        return [spec.executable for spec in killed]

    def _killed(self, name: str) -> bool:
        status = self.children[name].poll()
        return status is not None and status < 0

    def wait(self, tick: Callable[[], bool] = lambda: True) -> int:
        """Wait until an essential node ends, or `tick` says False; returns the ended one's status, or 0."""
        essential = {spec.executable for spec in self._specs if spec.essential}
        anew = {spec.executable for spec in self._specs if spec.respawn}
        while tick():
            for name in self.restart():
                print(f"{name} was killed; it is started anew", file=sys.stderr, flush=True)
            for name, child in self.children.items():
                over = child.poll() is not None and not (name in anew and child.returncode < 0)
                if over and name in essential:
                    return self._ended(name, child.returncode)
            time.sleep(0.1)
        return 0

    def _ended(self, name: str, status: int) -> int:
        if status in (0, 2):
            return status
        where = f"; see {self._log / f'{name}.log'}" if self._log else ""
        raise RobotRLError(f"{name} ended with status {status}{where}; all nodes were stopped")

    def __exit__(self, *_: object) -> None:
        patience = {spec.executable: spec.patience for spec in self._specs}
        order = [name for name in reversed(self.children) if name not in _LAST]
        for name in [*order, *(name for name in _LAST if name in self.children)]:
            self._end(self.children[name], patience[name])
        self._folder.cleanup()

    @staticmethod
    def _end(child: subprocess.Popen, patience: float) -> None:
        if child.poll() is not None:
            return
        child.send_signal(signal.SIGINT)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
