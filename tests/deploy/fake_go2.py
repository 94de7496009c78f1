"""A Go2 on CycloneDDS that is none: publishes LowState, has a sport mode to release, and notes every LowCmd.

Run as a process: fake_go2.py DOMAIN FILE; writes what it saw to FILE (JSON) when it is told to end.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
from pathlib import Path

from unitree_sdk2py.core.channel import ChannelFactoryInitialize, ChannelPublisher, ChannelSubscriber
from unitree_sdk2py.idl.default import unitree_go_msg_dds__LowState_
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_
from unitree_sdk2py.rpc.server import Server

CHECK, RELEASE = 1001, 1003  # of Unitree's motion switcher
POLYNOMIAL = 0x04C11DB7


def crc32(words: list[int]) -> int:
    """Unitree's checksum: CRC-32 (0x04C11DB7, not reflected, from all ones) over words, highest bit first."""
    crc = 0xFFFFFFFF
    for word in words:
        for bit in range(31, -1, -1):
            top = (crc >> 31) ^ (word >> bit & 1)
            crc = (crc << 1 & 0xFFFFFFFF) ^ (POLYNOMIAL if top else 0)
    return crc


def words_of(c: LowCmd_) -> list[int]:
    """A LowCmd as the 202 words before its checksum, as Unitree's C struct lies in memory."""
    content = struct.pack("<4B4IH2x", *c.head, c.level_flag, c.frame_reserve, *c.sn, *c.version, c.bandwidth)
    for m in c.motor_cmd:
        content += struct.pack("<B3x5f3I", m.mode, m.q, m.dq, m.tau, m.kp, m.kd, *m.reserve)
    content += struct.pack("<4B", c.bms_cmd.off, *c.bms_cmd.reserve)
    content += struct.pack("<55Bx", *c.wireless_remote, *c.led, *c.fan, c.gpio) + struct.pack("<I", c.reserve)
    return list(struct.unpack(f"<{len(content) // 4}I", content))


class Switcher(Server):
    """Sport mode, until it is released."""

    def __init__(self) -> None:
        super().__init__("motion_switcher")
        self.mode, self.released_at = "normal", 0.0
        self._SetApiVersion("1.0.0.1")
        self._RegistHandler(CHECK, lambda _: (0, json.dumps({"name": self.mode, "form": "0"})), 0)
        self._RegistHandler(RELEASE, self._release, 0)

    def _release(self, _: str) -> tuple[int, str]:
        self.mode, self.released_at = "", time.monotonic()
        return 0, ""


class Fake:
    """Keeps all commands: when, q, kp and kd of a motor, whether head and checksum are right."""

    def __init__(self) -> None:
        self.rows: list[tuple] = []
        self.wrong = 0
        self.switcher = Switcher()
        self.switcher.Start()

    def heard(self, c: LowCmd_) -> None:
        now = time.monotonic()
        head = list(c.head) == [0xFE, 0xEF] and c.level_flag == 0xFF and all(m.mode == 1 for m in c.motor_cmd)
        # The check takes about a millisecond and a half in Python: every tenth command.
        if not head or (len(self.rows) % 10 == 0 and crc32(words_of(c)) != c.crc):
            self.wrong += 1
        motors = c.motor_cmd[:12]
        self.rows.append((now, [m.q for m in motors], motors[0].kp, motors[0].kd, self.switcher.mode))


def state() -> LowState_:
    """At rest in the stance, upright."""
    made = unitree_go_msg_dds__LowState_()
    made.imu_state.quaternion = [1.0, 0.0, 0.0, 0.0]
    for motor, q in zip(made.motor_state, [0.0, 0.9, -1.8] * 4, strict=False):
        motor.q = q
    return made


def main(domain: int, file: Path) -> None:
    """Be a robot until SIGTERM."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    ChannelFactoryInitialize(domain)
    fake = Fake()
    publisher = ChannelPublisher("rt/lowstate", LowState_)
    publisher.Init()
    subscriber = ChannelSubscriber("rt/lowcmd", LowCmd_)
    subscriber.Init(fake.heard, 0)
    told = state()
    while not ended:
        publisher.Write(told)
        time.sleep(0.005)
    file.write_text(json.dumps({"wrong": fake.wrong, "rows": fake.rows}))
    os._exit(0)  # the SDK's threads do not end


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
