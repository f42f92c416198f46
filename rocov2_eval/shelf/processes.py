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
from typing import TypeVar

from rocov2_eval.errors import MissingResource

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_AHEAD = 3  # tasks handed over for each worker: enough that none waits, few enough that an interrupt is quick


def run_tasks(function: Callable[[Task], Outcome], tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """Yield what a function makes of each task, as they are ready; with one worker no process is started.

    Raises:
        MissingResource: A worker was killed, for want of memory as a rule.
    """
    if workers == 1 or len(tasks) < 2:  # noqa: PLR2004  one task needs no company
        yield from map(function, tasks)
        return
    # A forked child would inherit threads and locks of whatever library the parent has loaded.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_start_worker)
    waiting = list(reversed(tasks))
    running: set[Future[Outcome]] = set()
    try:
        while waiting or running:
            while waiting and len(running) < _AHEAD * workers:
                running.add(pool.submit(function, waiting.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        message = "a worker was killed, for want of memory as a rule: run again with fewer workers"
        raise MissingResource(message) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Leave an interrupt to the parent, and end with it: a killed parent cannot tell its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers call this"
    wait_for_any([parent.sentinel])
    os._exit(1)
