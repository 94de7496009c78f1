"""Plays a camera to the reward node, and prints what it says: brightness, stamp and success."""

from __future__ import annotations

import time

import rclpy
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool

rclpy.init()
node = rclpy.create_node("camera")
camera = node.create_publisher(Image, "camera/image", 1)
said, chances, done = [], [], []
node.create_subscription(JointState, "reward", said.append, 10)
node.create_subscription(JointState, "success_probability", chances.append, 10)
node.create_subscription(Bool, "success", done.append, 10)
while not camera.get_subscription_count() or not node.count_publishers("success"):
    rclpy.spin_once(node, timeout_sec=0.1)
time.sleep(0.5)
for number, shade in enumerate((10, 200, 210, 30), start=1):
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
