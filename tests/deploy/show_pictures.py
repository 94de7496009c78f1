"""Plays a camera to the reward node, and prints what it says: brightness, stamp and success.

Tasks given as arguments are instructed, one before each picture.
"""

from __future__ import annotations

import sys
import time

import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String

from robot_rl.deploy.instruction import Instruction

rclpy.init()
node = rclpy.create_node("camera")
camera = node.create_publisher(Image, "camera/image", 1)
latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
instructed = node.create_publisher(String, "policy/instruction", latched)
said, chances, done = [], [], []
node.create_subscription(JointState, "reward", said.append, 10)
node.create_subscription(JointState, "success_probability", chances.append, 10)
node.create_subscription(Bool, "success", done.append, 10)
while not camera.get_subscription_count() or not node.count_publishers("success"):
    rclpy.spin_once(node, timeout_sec=0.1)
time.sleep(0.5)
for number, shade in enumerate((10, 200, 210, 30), start=1):
    if len(sys.argv) > number:
        instructed.publish(String(data=Instruction("act", sys.argv[number], number).to_text()))
        time.sleep(1.0)  # there is no answer to an instruction
    picture = Image(height=4, width=4, encoding="rgb8", step=12, data=bytes([shade]) * 48)
    picture.header.stamp.sec = number
    count = len(said)
    while len(said) == count:  # the camera repeats a picture until it was judged
        camera.publish(picture)
        rclpy.spin_once(node, timeout_sec=1.0)
    while min(len(done), len(chances)) < len(said):
        rclpy.spin_once(node, timeout_sec=1.0)
for reward, chance, success in zip(said, chances, done, strict=False):
    print(chance.header.stamp.sec, reward.header.stamp.sec, reward.name, list(reward.position),
          f"{chance.position[0]:.3f}", success.data)  # fmt: skip
