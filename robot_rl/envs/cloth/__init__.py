"""Deformable things: a sleeve pulled over a person's arm, a cloth that is folded, a rope that is straightened."""
