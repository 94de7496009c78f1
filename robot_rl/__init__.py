"""robot_rl: a robot's logs and one sentence of text in; a policy that keeps improving out."""

__version__ = "0.1.0"
