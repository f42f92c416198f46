"""The command that ranks the submissions of a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import (
    model_choices,
    model_options,
    note,
    opener_choices,
    quiet_option,
    seed_option,
    split_option,
    truth_option,
    writing,
)
from rocov2_eval.command import progress_bar
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.progress import silent

if TYPE_CHECKING:
    from rocov2_eval.leaderboard.board import Leaderboard


@click.command(epilog="Example: rocov2-eval leaderboard submissions/ --truth data/ --out site/")
@click.argument("submissions", type=click.Path(path_type=Path, exists=True, file_okay=False))
@truth_option
@click.option(
    "-o",
    "--out",
    "site",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the site.",
)
@click.option("--edition", type=click.Choice(list(EDITIONS)), help="Else the one that all submissions name.")
@split_option
@click.option(
    "--task", "tasks", multiple=True, type=click.Choice(["concepts", "captions"]), help="Else both."
)
@click.option("--metric", "metrics", multiple=True, help="Only this metric; may be repeated.")
@click.option("--rank-by", help="Score to rank by; else the primary one of the edition.")
@click.option(
    "--public/--private",
    default=True,
    show_default=True,
    help="Public: no truth, no score of a single image, no picture. Private is for the organisers.",
)
@click.option("--title", default="Leaderboard", show_default=True, help="Heading of the front page.")
@click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the scores known so far; else scores.sqlite3 beside the submissions. Keep it secret.",
)
@seed_option
@model_options
@quiet_option
def leaderboard(submissions: Path, **options: Any) -> None:
    """Rank the submissions of a folder and write a site.

    SUBMISSIONS holds <team>/<run>/ with submission.json and run.csv or run.zip. Only what is new or changed
    is scored; what is rejected is listed with its findings. The site needs no server: open index.html.
    """
    from rocov2_eval.front_door import model_opener, settings_of
    from rocov2_eval.leaderboard.board import TASKS, BoardOptions, edition_of, make_leaderboard
    from rocov2_eval.leaderboard.site import require_site_folder, write_site
    from rocov2_eval.leaderboard.store import FILE_NAME, ScoreStore
    from rocov2_eval.leaderboard.submissions import find_submissions
    from rocov2_eval.places import truth_places
    from rocov2_eval.resampling import Bootstrap
    from rocov2_eval.significance import PairOptions

    site: Path = options["site"]
    with writing(site):
        require_site_folder(site, submissions)
    found, rejections = find_submissions(submissions)
    if not found and not rejections:
        raise UsageFault(f"{submissions} holds no <team>/<run>/ folder")
    edition = EDITIONS[options["edition"]] if options["edition"] else edition_of(found)
    board_options = BoardOptions(
        settings=settings_of(
            edition.name, metrics=options["metrics"], seed=options["seed"], **model_choices(options)
        ),
        split=options["split"],
        tasks=options["tasks"] or TASKS,
        rank_by=options["rank_by"],
        pairs=PairOptions(bootstrap=Bootstrap(seed=options["seed"])),
    )
    shown = sys.stderr.isatty() and not options["quiet"]
    with ScoreStore(options["store"] or submissions / FILE_NAME) as store:
        made = make_leaderboard(
            found,
            rejections,
            place=truth_places(options["truth"])[0],
            store=store,
            options=board_options,
            opener=model_opener(**opener_choices(options)),
            progress=progress_bar("runs") if shown else silent,
        )
    with writing(site):
        # A public page shows no picture.
        images = None if options["public"] else options["images"]
        write_site(made, site, title=options["title"], private=not options["public"], images=images)
    click.echo(_summary(made, site), nl=False)
    if not options["quiet"]:
        _note_rest(made, site, private=not options["public"])


def _summary(made: Leaderboard, site: Path) -> str:
    """Return what became of the submissions, a line a board, and the truth that they were scored against."""
    from rocov2_eval.truth import truth_name

    lines = [
        f"{board.task}: {len(board.standings):,} ranked by {board.primary}, "
        f"first {board.standings[0].entry.name}"
        for board in made.boards
    ]
    lines += [f"truth of the {task}: {truth_name(truth.inputs)}" for task, truth in made.truths.items()]
    lines += [f"rejected: {len(made.rejections):,}"] if made.rejections else []
    lines.append(f"scored {made.scored:,}, known already {made.known:,}")
    return "".join(f"{line}\n" for line in [*lines, str(site / "index.html")])


def _note_rest(made: Leaderboard, site: Path, *, private: bool) -> None:
    """Note beside the answer which submissions were rejected, and what to keep secret."""
    from rocov2_eval.shelf.words import shorten

    for item in made.rejections:
        first = next(found for found in item.findings if found.severity == "error")
        where = f"{shorten(item.team)}/{shorten(item.run)}"
        note(f"{where}: {first.code} {shorten(first.message, 200)}")
    if private:
        note(f"{site} holds the truth: do not publish it")
