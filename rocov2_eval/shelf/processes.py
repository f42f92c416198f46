"""Run one function over many tasks in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_any
from types import TracebackType
from typing import Self, TypeVar

from rocov2_eval.errors import MissingResource

In = TypeVar("In")
Out = TypeVar("Out")

AHEAD = 3  # tasks handed over for each worker: enough that none waits, few enough that an interrupt is quick
KILLED = "a worker was killed, usually because memory was full: run the command again with fewer workers"


class Pool:
    """Processes that stay until the end of the context; with one worker no process is started at all."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def map(self, function: Callable[[In], Out], tasks: Sequence[In]) -> Iterator[Out]:
        """Yield what a function makes of each task, as they are ready.

        Raises:
            MissingResource: A worker was killed, for want of memory as a rule.
        """
        if self.workers == 1 or len(tasks) < 2:  # noqa: PLR2004  one task needs no company
            yield from map(function, tasks)
            return
        if self._pool is None:
            # A forked child would inherit threads and locks of whatever library the parent has loaded.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_start_worker)
        waiting = list(reversed(tasks))
        running: set[Future[Out]] = set()
        try:
            while waiting or running:
                while waiting and len(running) < AHEAD * self.workers:
                    running.add(self._pool.submit(function, waiting.pop()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            raise MissingResource(KILLED) from None


def run_tasks(function: Callable[[In], Out], tasks: Sequence[In], workers: int) -> Iterator[Out]:
    """Yield what a function makes of each task, as they are ready, in a pool for this once.

    Raises:
        MissingResource: A worker was killed, for want of memory as a rule.
    """
    with Pool(min(workers, len(tasks)) or 1) as pool:
        yield from pool.map(function, tasks)


def _start_worker() -> None:
    """Leave an interrupt to the parent, and end with it: a killed parent cannot tell its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers call this"
    wait_for_any([parent.sentinel])
    os._exit(1)
