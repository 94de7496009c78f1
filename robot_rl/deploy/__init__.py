"""The robot's side, free of ROS and of torch: what a policy sees, what may be commanded, when to stop.

A wish flows `control` (observation -> policy -> wished action) -> `guard` (limits, watchdog, e-stop,
intervention) -> command. The ROS nodes in ros_ws/ convert messages and call these.
"""
