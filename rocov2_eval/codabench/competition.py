"""competition.yaml: what the platform makes of the archive.

Keys and limits are those of the platform's reader, codalab/codabench: `src/apps/competitions/unpackers/v2.py`
at 8239d01, and of its page "YAML structure".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocov2_eval.codabench.options import BundleOptions
from rocov2_eval.codabench.tasks import CompetitionTask
from rocov2_eval.codabench.wheels import IMAGE
from rocov2_eval.pages.tables import title_of

LOGO = "logo.png"
STARTING_KIT = "starting_kit"
PAGES = {"Overview": "overview.md", "Evaluation": "evaluation.md", "Format": "format.md", "Terms": "terms.md"}
DEFAULT_QUEUE_SECONDS = 1200  # the longest that the public platform's own workers let a submission run
_PRECISION = 4
_BASE_SECONDS = 600  # installing, reading, intervals, pages: a fraction of it is measured
_SECONDS_PER_IMAGE = 0.01  # 10,000 images take half a minute
# Two captions of 30 tokens at 1.02 GFLOP a token are 61 GFLOP; two processor cores do some 40 a second.
_SECONDS_PER_IMAGE_WITH_MODEL = 2.0


def competition_document(tasks: Sequence[CompetitionTask], options: BundleOptions) -> dict[str, Any]:
    """Return competition.yaml as an object."""
    titles = " and ".join(task.title for task in tasks)
    return {
        "version": 2,
        "title": options.title,
        "description": f"{titles} in radiology images, scored as {options.edition}",
        "image": LOGO,
        "terms": f"pages/{PAGES['Terms']}",
        "docker_image": options.image or IMAGE,
        **({"queue": options.queue} if options.queue else {}),
        "registration_auto_approve": False,
        "make_programs_available": False,
        "make_input_data_available": False,
        "enable_detailed_results": True,
        "show_detailed_results_in_submission_panel": True,
        "show_detailed_results_in_leaderboard": True,
        "auto_run_submissions": True,
        "can_participants_make_submissions_public": False,
        "forum_enabled": True,
        **({"contact_email": options.contact} if options.contact else {}),
        "pages": [{"title": title, "file": f"pages/{name}"} for title, name in PAGES.items()],
        "tasks": [_task(index, task) for index, task in enumerate(tasks)],
        "phases": [_phase(tasks, options)],
        "leaderboards": [_leaderboard(tasks)],
    }


def time_limit(tasks: Sequence[CompetitionTask], options: BundleOptions) -> int:
    """Return the seconds that a submission to the slowest task may take on two processor cores.

    600 s, and for each image 0.01 s, or 2 s where BERTScore is computed; whole minutes.
    """
    if options.time_limit is not None:
        return options.time_limit
    seconds = [
        _BASE_SECONDS
        + task.images * (_SECONDS_PER_IMAGE_WITH_MODEL if task.has_model else _SECONDS_PER_IMAGE)
        for task in tasks
    ]
    return -int(-max(seconds) // 60) * 60


def program_folder(task: CompetitionTask) -> str:
    """Return the folder of a task's scoring program in the archive."""
    return f"scoring_program_{task.name}"


def reference_folder(task: CompetitionTask) -> str:
    """Return the folder of a task's truth in the archive."""
    return f"reference_data_{task.name}"


def submission_rule(tasks: Sequence[object]) -> str:
    """Return which submissions stand on the leaderboard: a participant's best, for one task.

    That rule looks at one column and at one task of a submission at a time. With two tasks it drops the
    scores of one of them, as every rule does that acts by itself: there participants choose.
    """
    return "Force_Best" if len(tasks) == 1 else "Add_And_Delete_Multiple"


def _task(index: int, task: CompetitionTask) -> dict[str, Any]:
    return {
        "index": index,
        "name": task.title,
        "description": f"{task.title}, {task.images:,} images",
        "is_public": False,
        "scoring_program": program_folder(task),
        "reference_data": reference_folder(task),
    }


def _phase(tasks: Sequence[CompetitionTask], options: BundleOptions) -> dict[str, Any]:
    """Return the one phase: phases may not overlap, so that two tasks share it."""
    return {
        "index": 0,
        "name": "Evaluation",
        "description": "Upload a zip archive with a run for each task that you tick.",
        "start": options.start,
        **({"end": options.end} if options.end else {}),
        "max_submissions_per_day": options.max_per_day,
        "max_submissions": options.max_total,
        "execution_time_limit": time_limit(tasks, options),
        "accepts_only_result_submissions": True,
        "hide_output": False,
        "hide_prediction_output": False,
        "hide_score_output": False,
        "starting_kit": STARTING_KIT,
        "tasks": list(range(len(tasks))),
    }


def _leaderboard(tasks: Sequence[CompetitionTask]) -> dict[str, Any]:
    """Return the leaderboard; its first column ranks."""
    return {
        "title": "Results",
        "key": "results",
        "submission_rule": submission_rule(tasks),
        "hidden": False,
        "columns": [
            {
                "title": title_of(name),
                "key": name,
                "index": index,
                "sorting": "desc",
                "precision": _PRECISION,
                "hidden": False,
            }
            for index, name in enumerate(name for task in tasks for name in task.columns)
        ],
    }
