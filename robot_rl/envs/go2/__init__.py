"""Unitree Go2: walking, getting up, and reaching with an arm on its back, from the robot's own sensors."""
