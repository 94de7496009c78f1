"""Shows a running deployment in the terminal, and lets a person enable, stop and reset it by a key.

Without a terminal it prints a line each two seconds. It publishes nothing and is not needed by the others.
"""

from __future__ import annotations

import select
import sys
from contextlib import contextmanager

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rich.live import Live
from rich.table import Table
from std_srvs.srv import SetBool, Trigger

from robot_rl.deploy.view import KEYS, line, rows
from robot_rl_deployment.common import run

_EVERY = {True: 0.2, False: 2.0}  # s between pictures in a terminal, between lines without one


class MonitorNode(Node):
    """Listens to /diagnostics."""

    def __init__(self) -> None:
        super().__init__("monitor_node")
        self.statuses: dict = {}
        self.told = ""
        self.terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self.create_subscription(DiagnosticArray, "/diagnostics", self._heard, 10)
        self._enable = self.create_client(SetBool, "guard_node/enable")
        self._estop = self.create_client(Trigger, "guard_node/estop")
        self._reset = self.create_client(Trigger, "guard_node/reset")

    def _heard(self, message: DiagnosticArray) -> None:
        for status in message.status:
            figures = {pair.key: pair.value for pair in status.values}
            self.statuses[status.name] = (int.from_bytes(status.level, "little"), status.message, figures)

    def press(self, key: str) -> None:
        """Do what a key stands for; q ends everything."""
        if key == "q":
            raise KeyboardInterrupt
        asked = {
            "e": (self._enable, SetBool.Request(data=True)),
            "d": (self._enable, SetBool.Request(data=False)),
            " ": (self._estop, Trigger.Request()),
            "r": (self._reset, Trigger.Request()),
        }.get(key)
        if asked:
            client, request = asked
            client.call_async(request).add_done_callback(self._answered)

    def _answered(self, future) -> None:
        self.told = future.result().message

    def table(self) -> Table:
        """The picture of now."""
        table = Table(title=KEYS, caption=self.told, expand=True)
        for column in ("node", "state", ""):
            table.add_column(column, overflow="fold")
        for row in rows(self.statuses):
            table.add_row(*row, style={"error": "red", "warning": "yellow"}.get(row[1]))
        return table

    def watch(self) -> None:
        """Show until the end."""
        if not self.terminal:
            self.create_timer(_EVERY[False], lambda: print(line(self.statuses), flush=True))
            rclpy.spin(self)
            return
        with _keys(), Live(self.table(), refresh_per_second=5) as live:
            self.create_timer(_EVERY[True], lambda: live.update(self.table()))
            while True:
                rclpy.spin_once(self, timeout_sec=0.05)
                while select.select([sys.stdin], [], [], 0)[0]:
                    self.press(sys.stdin.read(1))


@contextmanager
def _keys():
    """Hear single keys, and give the terminal back as it was."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin.fileno())
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def main(args: list[str] | None = None) -> int:
    """Run the node."""
    return run(MonitorNode, args, MonitorNode.watch)


if __name__ == "__main__":
    sys.exit(main())
