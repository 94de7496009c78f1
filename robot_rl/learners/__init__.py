"""From transitions to a policy checkpoint: one file per algorithm.

`iql`, `bc`, `calql`, `rlpd`; `train` is the offline loop, `online` and `finetune` go on from what it left.
"""
