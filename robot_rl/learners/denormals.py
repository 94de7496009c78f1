"""Lets the processor take numbers next to zero for zero while a learner computes, and no longer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """For a `with` or as a decorator: vanishing moments of Adam would slow the processor down tenfold.

    Whoever computes in the same process afterwards has all numbers again.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
