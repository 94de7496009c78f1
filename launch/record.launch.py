"""As deploy.launch.py, recorded: ros2 launch … record.launch.py robot:=X policy:=RUN record:=runs/day1"""

from robot_rl.deploy.ros_launch import description


def generate_launch_description():
    """Guard, policy and recorder beside the robot's own drivers; a dataset and raw bags are written."""
    return description(
        {
            "robot": None,
            "policy": None,
            "record": None,
            "reward": "",
            "success": "",
            "contract_file": "",
            "runtime": "auto",
            "interface": "",
            "enable": "false",
            "realtime": "false",
            "namespace": "",
        }
    )
