"""What an organiser chooses of a competition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rocov2_eval.records import Task


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """What a competition is like.

    Attributes:
        edition: Key of `EDITIONS`.
        tasks: None for all that truth and edition have.
        split: None for the only one that the truth has, or for `test`.
        image: Docker image that holds rocov2-eval and, for captions, the weights; None to send wheels along.
        wheels: Folder of wheels to send along, None to fetch them.
        encoder: Of BERTScore; without an image there is none.
        title: Of the competition, empty for one that names its tasks.
        start, end: `YYYY-MM-DD HH:MM:SS` in UTC; it never ends where None.
        contact: E-mail address of the organisers, None for none.
        queue: Vhost of the organisers' own queue of compute workers, None for the platform's.
        time_limit: Seconds for one submission, None for what fits the truth.
        max_per_day, max_total: Submissions that a participant may make.
    """

    edition: str
    tasks: tuple[Task, ...] | None = None
    split: str | None = None
    image: str | None = None
    wheels: Path | None = None
    encoder: str = "deberta-xlarge-mnli"
    title: str = ""
    start: str
    end: str | None = None
    contact: str | None = None
    queue: str | None = None
    time_limit: int | None = None
    max_per_day: int = 5
    max_total: int = 100
