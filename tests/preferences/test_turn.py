"""A labeler's place at a label store: held by one process, freed by its end, however it ends."""

import signal
import subprocess
import sys
import threading

from robot_rl.preferences.turn import turn
from tests.preferences.fakes import BrightLabeler

HOLD = """
import sys, time
from pathlib import Path
from robot_rl.preferences.turn import turn
from tests.preferences.fakes import BrightLabeler
with turn(Path(sys.argv[1]), BrightLabeler(), print):
    print("held", flush=True)
    time.sleep(100)
"""


class Other(BrightLabeler):
    name = "other"


def test_the_next_waits_and_a_kill_lets_it_in(tmp_path):
    store, said = tmp_path / "labels.sqlite", []
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(store)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with turn(store, Other(), said.append):
        pass  # another labeler has a place of its own
    assert said == []
    waiting, entered = threading.Event(), threading.Event()

    def enter():
        with turn(store, BrightLabeler(), lambda line: (said.append(line), waiting.set())):
            entered.set()

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    assert waiting.wait(30) and not entered.wait(0.2)
    assert "another run asks" in said[0] and str(store) in said[0]
    holder.send_signal(signal.SIGKILL)
    assert entered.wait(30)
    holder.wait()
    thread.join(10)


def test_without_another_nobody_waits(tmp_path):
    said = []
    for _ in range(2):
        with turn(tmp_path / "labels.sqlite", BrightLabeler(), said.append):
            pass
    assert said == []
