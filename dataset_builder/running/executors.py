"""Run one pure function over many tasks: in processes of this machine, or on a Ray cluster.

An executor decides where and in which order tasks run, and nothing else: results come as they are ready, and
what the function writes does not depend on it.
"""

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
from typing import Any, Protocol, Self, TypeVar

from rocov2_eval.errors import MissingResource

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_AHEAD = 4  # tasks handed over for each worker: enough that none waits, few enough that an interrupt is quick


class Executor(Protocol):
    """A context manager that runs tasks."""

    @property
    def workers(self) -> int:
        """How many tasks run at once, at most."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield what the function makes of each task, as they are ready.

        Raises:
            MissingResource: A worker was killed, for want of memory as a rule.
        """
        ...


class LocalExecutor:
    """Processes of this machine; with one worker no process is started at all."""

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

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield what the function makes of each task, as they are ready."""
        if self.workers == 1 or len(tasks) == 1:
            yield from map(function, tasks)
            return
        if self._pool is None:
            # A forked child would inherit threads and open connections.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_start_worker)
        waiting = list(reversed(tasks))
        running: set[Future[Outcome]] = set()
        while waiting or running:
            while waiting and len(running) < _AHEAD * self.workers:
                running.add(self._pool.submit(function, waiting.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield _result(future)


class RayExecutor:
    """Tasks on a Ray cluster, or on one that is started on this machine for the time of the run."""

    def __init__(self, workers: int, address: str | None = None) -> None:
        self.workers = workers
        self._address = address
        self._ray: Any = None

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if self._address is None:  # a cluster of this machine alone needs no token in the user's home
            os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        try:
            import ray
        except ImportError:
            message = '--executor ray needs Ray: pip install "rocov2-eval[cluster]"'
            raise MissingResource(message) from None
        own = {"num_cpus": self.workers, "include_dashboard": False} if self._address is None else {}
        try:
            ray.init(address=self._address, log_to_driver=False, logging_level="error", **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise MissingResource(f"Ray at {self._address or 'this machine'}: {error}") from None
        self._ray = ray
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ray is not None:
            self._ray.shutdown()

    def map(self, function: Callable[[Task], Outcome], tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield what the function makes of each task, as they are ready."""
        # A closure travels by value: Ray takes no built-in function, and ours need not be its own.
        remote = self._ray.remote(max_retries=2)(lambda task: function(task))  # noqa: PLW0108
        waiting = list(reversed(tasks))
        running: list[Any] = []
        while waiting or running:
            while waiting and len(running) < _AHEAD * self.workers:
                running.append(remote.remote(waiting.pop()))
            done, running = self._ray.wait(running, num_returns=1)
            for reference in done:
                try:
                    yield self._ray.get(reference)
                except self._ray.exceptions.WorkerCrashedError as error:
                    raise MissingResource(f"{_KILLED} ({error})") from None


_KILLED = "a worker was killed, for want of memory as a rule: run again with fewer --workers"


def _result(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        raise MissingResource(_KILLED) from None


def _start_worker() -> None:
    """Leave an interrupt to the parent, and end with it: a killed parent cannot tell its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers call this"
    wait_for_any([parent.sentinel])
    os._exit(1)
