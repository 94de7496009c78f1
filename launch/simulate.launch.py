"""A policy on a simulated robot: ros2 launch robot_rl_bringup simulate.launch.py policy:=runs/drawer"""

from robot_rl.deploy.ros_launch import description


def generate_launch_description():
    """Simulated robot, guard and policy; it moves at once unless enable:=false."""
    return description(
        {
            "robot": "sim_drawer",
            "policy": None,
            "contract_file": "",
            "runtime": "auto",
            "task": "",
            "seed": "0",
            "enable": "true",
            "realtime": "false",
            "record": "",
            "namespace": "",
        }
    )
