"""An event loop in a thread of its own, so that requests go on while the caller reads frames or stores."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class Session:
    """Runs coroutines for a synchronous caller; to be used as a context manager, once.

    Leaving it cancels what still runs and then awaits `close`.
    """

    def __init__(self, close: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._close = close
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="chat", daemon=True)
        self._pending: set[Future] = set()
        self._done: queue.SimpleQueue[tuple[int, Future]] = queue.SimpleQueue()

    @property
    def waiting(self) -> int:
        """How many submitted coroutines have not been taken yet."""
        return len(self._pending)

    def __enter__(self) -> Session:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run one coroutine and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def submit(self, index: int, work: Coroutine[Any, Any, Any]) -> None:
        """Start a coroutine; `take` gives its result back under its index."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._pending.add(future)
        future.add_done_callback(lambda done: self._done.put((index, done)))

    def take(self, seconds: float | None = None) -> tuple[int, Future] | None:
        """Wait for any submitted coroutine; returns its index and what came of it.

        None where nothing came within `seconds`; without them it waits on.
        """
        try:
            index, future = self._done.get(timeout=seconds)
        except queue.Empty:
            return None
        self._pending.discard(future)
        return index, future

    def cancel(self) -> None:
        """Break off what still runs; `take` then returns at once, also with what was done before."""
        for future in list(self._pending):
            future.cancel()

    def _serve(self) -> None:
        """Run the loop until it is stopped, then end what is left in it."""
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            if self._close is not None:
                self._loop.run_until_complete(self._close())
        finally:
            self._loop.close()
