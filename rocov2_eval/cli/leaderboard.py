"""The command that ranks the submissions of a folder."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import (
    decimals_option,
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
    help="Public: rounded means with intervals, nothing finer. Private is for the organisers.",
)
@click.option(
    "--truth-retired",
    is_flag=True,
    help="The truth is no longer in use: the public may read everything that it tells.",
)
@decimals_option
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
    from rocov2_eval.pages.disclosure import public_board
    from rocov2_eval.places import truth_places
    from rocov2_eval.resampling import Bootstrap
    from rocov2_eval.significance import PairOptions

    site: Path = options["site"]
    is_private, is_retired = not options["public"], options["truth_retired"]
    if is_private and is_retired:
        raise UsageFault("--private and --truth-retired exclude each other: a private board shows everything")
    if options["decimals"] is not None and (is_private or is_retired):
        raise UsageFault("--decimals is for a public board while the truth is in use: others are not rounded")
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
        is_compared=is_private or is_retired,
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
        if not (is_private or is_retired):
            shown = tuple(public_board(board, options["decimals"]) for board in made.boards)
            made = replace(made, boards=shown)
        # A public page shows no picture.
        images = options["images"] if is_private else None
        write_site(
            made,
            site,
            title=options["title"],
            private=is_private,
            truth_retired=is_retired,
            images=images,
        )
    click.echo(_summary(made, site), nl=False)
    if not options["quiet"]:
        _note_rest(made, site, private=is_private)
        if not (is_private or is_retired):
            _note_told(made, options["decimals"])


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
    """Note beside the answer which submissions were rejected, what to look at, and what to keep secret."""
    from rocov2_eval.findings import RULES
    from rocov2_eval.pages.disclosure import public_findings
    from rocov2_eval.shelf.words import shorten

    for item in made.rejections:
        errors = [found for found in item.findings if found.severity == "error"]
        where = f"{shorten(item.team)}/{shorten(item.run)}"
        # The log of a job that makes a public board is mostly public too.
        visible = errors if private else public_findings(errors)
        first, is_told = (visible or errors)[0], bool(visible)
        note(f"{where}: {first.code} {shorten(first.message, 200) if is_told else RULES[first.code].title}")
    for text in made.notes:
        note(text)
    if private:
        note(f"{site} holds the truth: do not publish it")


def _note_told(made: Leaderboard, decimals: int | None) -> None:
    """Note which public scores tell single images while the truth is in use."""
    from rocov2_eval.pages.disclosure import FEWEST_IMAGES, advice, public_decimals

    for board in made.boards:
        if board.images < FEWEST_IMAGES or (decimals or 0) > public_decimals(board.images):
            note(f"{board.task}: {advice(board.images, decimals)}")
