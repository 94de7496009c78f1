"""`robot-rl export`: policy.onnx beside a checkpoint, or one line that says why not."""

import sys

import pytest

from robot_rl.cli import export
from robot_rl.cli.main import main, parse
from robot_rl.errors import BadInput
from robot_rl.policies.checkpoint import save_checkpoint
from tests.policies.helpers import make_actor, make_spec


def run(*args):
    return export.main(parse("export", export, [str(arg) for arg in args]))


def test_it_adds_the_file_and_says_what_goes_in_and_out(tmp_path, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from robot_rl.policies.onnx_policy import OnnxPolicy

    save_checkpoint(tmp_path, make_actor().policy_weights(), make_spec(state_units=["m", "", "rad"]))
    run(tmp_path)
    told = capsys.readouterr().out
    assert f"{tmp_path / 'policy.onnx'}: " in told and "opset 13" in told
    assert "input 'state' (N, 3) float32: x [m], y [?], z [rad]" in told
    assert "output 'action' (N, 2): a [N], b [rad]" in told and "of their range" in told
    assert OnnxPolicy.load(tmp_path).spec.robot == "toy"


def test_without_a_checkpoint(tmp_path):
    with pytest.raises(BadInput, match="weights.safetensors cannot be read|policy.json cannot be read"):
        run(tmp_path)


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, make_actor().policy_weights(), make_spec())
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(BadInput, match=r'extra \'onnx\': pip install "robot-rl\[onnx\]"'):
        run(tmp_path)
    assert not (tmp_path / "policy.onnx").exists()


def test_a_dataset_is_written_in_another_format_and_read_back(tmp_path, capsys):
    from tests.conftest import write_tiny

    data = write_tiny(tmp_path / "tiny", 2).root
    assert main(["export", str(data), str(tmp_path / "out.hdf5"), "--format", "robomimic"]) == 0
    told = capsys.readouterr()
    assert f"{tmp_path / 'out.hdf5'}: 2 episodes, 24 frames as robomimic" in told.out
    assert "export: 2/2 episodes" in told.err
    assert main(["import", str(tmp_path / "out.hdf5"), str(tmp_path / "back")]) == 0
    assert "camera: front, 32x32 pixels" in capsys.readouterr().out


def test_what_an_export_of_a_dataset_needs_is_said(tmp_path, capsys):
    from tests.conftest import write_tiny

    data = write_tiny(tmp_path / "tiny", 1).root
    assert main(["export", str(data)]) == 2
    assert "is a dataset; say where to and how" in capsys.readouterr().err
    assert main(["export", str(tmp_path), str(tmp_path / "x"), "--format", "d4rl"]) == 2
    assert "is no dataset: it has no meta/info.json" in capsys.readouterr().err
    assert main(["export", str(data), str(tmp_path / "x"), "--format", "lerobot"]) == 2
    assert "is a LeRobotDataset v3 as it is; copy the folder" in capsys.readouterr().err
