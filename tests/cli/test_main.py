"""The dispatcher: help, versions, exit statuses, one-line errors, and configs that repeat a run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robot_rl import __version__
from robot_rl.cli import main as cli

ROOT = Path(__file__).resolve().parents[2]
VERB = '''
import sys, time
from dataclasses import dataclass
from pathlib import Path
from robot_rl.errors import BadInput, RobotRLError

@dataclass(frozen=True)
class Config:
    """Do what the test says."""
    act: str
    """Which way to end."""
    rate: float = 20.0
    """Control rate, Hz."""
    out: Path = Path("runs/x")
    """Folder."""

def main(config):
    if config.act == "bad":
        raise BadInput("file x: field y\\nmust be z")
    if config.act == "fail":
        raise RobotRLError("no luck")
    if config.act == "wait":
        print("ready", flush=True); time.sleep(60)
    if config.act == "saved":
        raise KeyboardInterrupt("12 labels are in labels.sqlite")
    if config.act == "flood":
        for _ in range(100_000):
            print("x" * 100)
    print(config)
'''


def command(*args):
    """A command line of robot-rl that knows one verb more."""
    code = "import sys; from robot_rl.cli import main; main.VERBS['act'] = ('the_verb', 'For this test.'); "
    return [sys.executable, "-c", code + "sys.exit(main.main(sys.argv[1:]))", *map(str, args)]


def run(*args, **options):
    return subprocess.run(command(*args), capture_output=True, text=True, timeout=60, **options)


def start(*args, env):
    return subprocess.Popen(
        command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


@pytest.fixture
def env(tmp_path):
    (tmp_path / "the_verb.py").write_text(VERB)
    paths = [str(tmp_path), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def test_help_lists_every_verb_on_a_line(capsys):
    assert cli.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for verb, (_, told) in cli.VERBS.items():
        assert any(line.split(maxsplit=1) == [verb, told] for line in lines)
    assert max(map(len, lines)) <= 110
    assert cli.main([]) == 2


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"robot-rl {__version__}\n"


def test_an_unknown_verb_names_the_nearest(capsys):
    assert cli.main(["inspct", "x"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("robot-rl: no command 'inspct'. Did you mean 'inspect'? Known: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_help_with_defaults(verb, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([verb, "--help"])
    assert left.value.code == 0
    told = capsys.readouterr().out
    assert f"usage: robot-rl {verb}" in told and "--config FILE" in told


def test_verb_help_shows_units_and_defaults(env):
    told = run("act", "--help", env=env).stdout
    assert "Control rate, Hz. (default: 20.0)" in " ".join(told.split())


def test_wrong_options_are_status_2(env):
    for args in (["--rat", "1"], ["--act", "x", "--rate", "fast"], []):
        done = run("act", *args, env=env)
        assert done.returncode == 2 and done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("act", "status", "line"),
    [
        ("bad", 2, "robot-rl act: file x: field y must be z\n"),
        ("fail", 1, "robot-rl act: no luck\n"),
        ("saved", 130, "robot-rl act: interrupted; 12 labels are in labels.sqlite\n"),
        ("fine", 0, ""),
    ],
)
def test_each_end_has_its_status_and_one_line(env, act, status, line):
    done = run("act", "--act", act, env=env)
    assert (done.returncode, done.stderr) == (status, line)


def test_ctrl_c_says_how_to_go_on(env):
    code = "import sys; from robot_rl.cli import main; main.VERBS['act'] = ('the_verb', ''); "
    command = [sys.executable, "-c", code + "sys.exit(main.main(['act', '--act', 'wait']))"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        error = child.communicate(timeout=30)[1]
    assert child.returncode == 130
    assert error == "robot-rl act: interrupted; " + cli._INTERRUPTED + "\n"


def test_a_reader_that_leaves_is_no_error(env):
    code = "import sys; from robot_rl.cli import main; main.VERBS['act'] = ('the_verb', ''); "
    command = [sys.executable, "-c", code + "sys.exit(main.main(['act', '--act', 'flood']))"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as child:
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == ""
    assert child.returncode == 1


def test_config_file_gives_defaults_that_options_override(env, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("act: fine\nrate: 5e1\n")
    assert "Config(act='fine', rate=50.0, out=" in run("act", "--config", file, env=env).stdout
    assert "rate=7.0" in run("act", f"--config={file}", "--rate", 7, env=env).stdout
    file.write_text("rate: 30\n")
    assert "Config(act='other', rate=30.0" in run("act", "--config", file, "--act", "other", env=env).stdout
    assert run("act", "--config", file, env=env).returncode == 2  # `act` is given nowhere


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ratte: 1", "config.yaml: ratte: unknown field. Did you mean 'rate'? Known: rate, act, out."),
        ("rate: fast", "config.yaml: rate: Input should be a valid number"),
        ("rate: [", "config.yaml: line"),
    ],
)
def test_a_wrong_config_file_is_one_line(env, tmp_path, text, told):
    (tmp_path / "config.yaml").write_text(text)
    done = run("act", "--config", tmp_path / "config.yaml", env=env)
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1


def test_config_without_a_file(env, tmp_path):
    assert "--config needs a file" in run("act", "--config", env=env).stderr
    done = run("act", "--config", tmp_path / "none.yaml", env=env)
    assert done.returncode == 2 and "none.yaml: cannot be read" in done.stderr
