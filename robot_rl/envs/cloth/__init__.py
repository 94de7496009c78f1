"""Deformable things: a sleeve pulled over an arm, a cloth that is folded, a rope that is straightened."""
