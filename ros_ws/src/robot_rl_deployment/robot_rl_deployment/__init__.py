"""ROS 2 nodes of robot_rl: thin, over `robot_rl.deploy`: convert a message, make one call, publish."""
