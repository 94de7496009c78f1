"""The launch files: with ROS 2's own launch they are run, elsewhere these tests skip and say so."""

import pytest

pytest.importorskip("launch_ros", reason="launch and launch_ros come with a ROS 2 installation only")
from launch import LaunchContext
from launch.launch_description_sources import get_launch_description_from_python_launch_file

from robot_rl.deploy.ros_launch import deployment_of
from robot_rl.errors import BadInput
from robot_rl.specs.paths import outside


@pytest.mark.parametrize("path", sorted(outside("launch").glob("*.launch.py")), ids=lambda path: path.stem)
def test_each_file_describes_its_arguments(path):
    description = get_launch_description_from_python_launch_file(str(path))
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert {"robot", "policy", "runtime", "namespace"} <= set(arguments)
    assert all(argument.description for argument in arguments.values())
    assert arguments["runtime"].choices == ["auto", "onnx", "numpy"]


def test_the_simulation_starts_the_graph_s_nodes(tmp_path):
    path = outside("launch", "simulate.launch.py")
    description, context = get_launch_description_from_python_launch_file(str(path)), LaunchContext()
    context.launch_configurations["policy"] = str(tmp_path)
    for entity in description.entities[:-1]:
        entity.visit(context)
    actions = description.entities[-1].execute(context)
    assert [a.name for a in actions if hasattr(a, "name")][-3:]


def test_arguments_are_text_and_mistakes_are_named():
    found = deployment_of({"robot": "sim_drawer", "policy": "p", "seed": "7", "enable": "true"})
    assert (found.seed, found.enable, found.robot) == (7, True, "sim_drawer")
    with pytest.raises(BadInput, match="seed: must be a whole number, not 'x'"):
        deployment_of({"robot": "sim_drawer", "policy": "p", "seed": "x"})
    found = deployment_of({"robot": "sim_drawer", "policy": "p", "explore": "0.5", "success": ""})
    assert (found.explore, found.success) == (0.5, "")
    with pytest.raises(BadInput, match="explore: must be a number, not 'much'"):
        deployment_of({"robot": "sim_drawer", "policy": "p", "explore": "much"})
    with pytest.raises(BadInput, match="contract_file: with robot:=file"):
        deployment_of({"robot": "file", "policy": "p"})
