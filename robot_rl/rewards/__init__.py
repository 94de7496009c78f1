"""Preferences -> reward model -> relabeled dataset, on frozen image features that the caller brings.

`model.RewardModel` is fitted on labeled frame pairs, `metrics` says how well, `relabel.relabel_dataset`
writes the rewards, `discriminator.discriminator_reward` is the baseline that learns from demonstrations.
"""
