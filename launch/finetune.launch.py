"""Practice without resets: ros2 launch robot_rl_bringup finetune.launch.py policy:=RUN fine_tune:=RUN/x"""

from robot_rl.cli.deploy_finetune import explored, tell
from robot_rl.deploy.ros_launch import description


def generate_launch_description():
    """Guard, policy, supervisor and learner; by default a simulated robot that moves at once.

    All end when all steps are practised and learned from.
    """
    return description(
        {
            "robot": "sim_drawer",
            "policy": None,
            "fine_tune": None,
            "task": "",
            "reward": "",
            "success": "",
            "explore": "",
            "contract_file": "",
            "runtime": "auto",
            "seed": "0",
            "enable": "true",
            "realtime": "false",
            "record": "",
            "interface": "",
            "namespace": "",
        },
        adapt=explored,
        finished=tell,
    )
