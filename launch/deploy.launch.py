"""A policy on a robot: ros2 launch robot_rl_bringup deploy.launch.py robot:=panda policy:=runs/reach"""

from robot_rl.deploy.ros_launch import description


def generate_launch_description():
    """Guard and policy beside the robot's own drivers; a person enables the guard."""
    return description(
        {
            "robot": None,
            "policy": None,
            "contract_file": "",
            "runtime": "auto",
            "enable": "false",
            "realtime": "false",
            "record": "",
            "interface": "",
            "namespace": "",
        }
    )
