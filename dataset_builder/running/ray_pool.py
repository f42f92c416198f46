"""Tasks on a Ray cluster: the same shape as `rocov2_eval.shelf.processes.Pool`.

A pool decides where and in which order tasks run, and nothing else: what the function writes does not depend
on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.processes import AHEAD, KILLED

In = TypeVar("In")
Out = TypeVar("Out")


class RayPool:
    """A cluster at an address; at `local`, one that is started on this machine for the time of the run."""

    def __init__(self, workers: int, address: str = "local") -> None:
        self.workers = workers
        self._address = None if address == "local" else address
        self._ray: Any = None

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if self._address is None:  # a cluster of this machine alone needs no token in the user's home
            os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        try:
            import ray
        except ImportError:
            message = f"--ray needs Ray: {install_command('cluster')}"
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

    def map(self, function: Callable[[In], Out], tasks: Sequence[In]) -> Iterator[Out]:
        """Yield what a function makes of each task, as they are ready.

        Raises:
            MissingResource: A worker was killed, for want of memory as a rule.
        """
        # A closure travels by value: Ray takes no built-in function, and ours need not be its own.
        remote = self._ray.remote(max_retries=2)(lambda task: function(task))  # noqa: PLW0108
        waiting = list(reversed(tasks))
        running: list[Any] = []
        while waiting or running:
            while waiting and len(running) < AHEAD * self.workers:
                running.append(remote.remote(waiting.pop()))
            done, running = self._ray.wait(running, num_returns=1)
            for reference in done:
                try:
                    yield self._ray.get(reference)
                except self._ray.exceptions.WorkerCrashedError as error:
                    raise MissingResource(f"{KILLED} ({error})") from None
