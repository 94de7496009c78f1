"""From transitions to a policy checkpoint: one file per algorithm (`iql`, `bc`) and one loop (`train`)."""
