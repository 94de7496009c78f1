"""What runs on the robot: the checkpoint folder, and the policy that it holds.

`checkpoint` and `policy` need numpy alone and are all that a robot imports; `networks` (torch) is what
learners train; `action_error` compares a policy with recordings.
"""
