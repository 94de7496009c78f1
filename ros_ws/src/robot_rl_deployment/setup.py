"""The ROS 2 package of robot_rl's nodes; the library itself (`pip install robot-rl`) holds the logic."""

from setuptools import find_packages, setup

NAME = "robot_rl_deployment"
NODES = (
    "policy_node",
    "guard_node",
    "recorder_node",
    "reward_node",
    "sim_robot_node",
    "trial_node",
    "monitor_node",
    "go2_driver_node",
    "supervisor_node",
    "learner_node",
)

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    entry_points={"console_scripts": [f"{node} = {NAME}.{node}:main" for node in NODES]},
)
