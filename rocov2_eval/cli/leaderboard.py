"""The command that ranks the submissions of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import (
    answer,
    decimals_option,
    edition_name,
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
from rocov2_eval.editions import DEFAULT_EDITION
from rocov2_eval.editions import edition_of as named_edition
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.progress import progress_line, sign_of_life

if TYPE_CHECKING:
    from rocov2_eval.leaderboard.board import Leaderboard
    from rocov2_eval.leaderboard.rules import Rules
    from rocov2_eval.ranking import Board
    from rocov2_eval.truth import Place


class _WithImport(click.Group):
    """A command with arguments of its own, `leaderboard SUBMISSIONS`, and one below it."""

    allow_extra_args = False
    allow_interspersed_args = True

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context of the command that is meant: the first word alone decides."""
        if args and args[0] in self.commands:
            below = self.commands[args[0]]
            return below.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the words of the usage of the command itself."""
        return click.Command.collect_usage_pieces(self, ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options and the argument of the command itself."""
        return click.Command.parse_args(self, ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command itself."""
        return click.Command.invoke(self, ctx)


@click.command(
    cls=_WithImport, epilog="Example: rocov2-eval leaderboard submissions/ --truth data/ --out site/"
)
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
@click.option(
    "--edition",
    callback=edition_name,
    metavar="YEAR|NAME",
    help="Edition to rank.  [default: the one that most teams name]",
)
@split_option
@click.option(
    "--hidden-truth",
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR|FILE",
    help="Second truth for a second ranking.  [default: none, or --truth with --hidden-split]",
)
@click.option(
    "--hidden-split",
    type=click.Choice(["train", "valid", "test"]),
    help="Split of the second truth.  [default: the only one]",
)
@click.option(
    "--show-hidden",
    is_flag=True,
    help="Ranks by the second truth, rounded, on a public board, too; for boards that accept no more runs.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(["concepts", "captions"]),
    help="Task to rank; may be repeated.  [default: both]",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Metric to compute; may be repeated.  [default: all of the edition]",
)
@click.option("--rank-by", help="Score to rank by.  [default: the primary one of the edition]")
@click.option(
    "--public/--private",
    default=True,
    show_default=True,
    help="Public board with only rounded means and intervals, or private board for the organisers.",
)
@click.option(
    "--truth-retired",
    is_flag=True,
    help="Public board without limits, for a truth that is no longer in use.",
)
@decimals_option
@click.option("--title", help="Heading of the front page.  [default: Leaderboard]")
@click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of earlier scores. Keep it secret.  [default: scores.sqlite3 beside the submissions]",
)
@seed_option
@model_options
@quiet_option
def leaderboard(submissions: Path, **options: Any) -> None:
    """Rank the submissions of a folder and write a site.

    SUBMISSIONS contains <team>/<run>/ with submission.json and run.csv or run.zip, and optionally board.toml
    with rules of the organisers and defaults of options. Only new or changed submissions are scored. Rejected
    ones are listed with their findings. The site needs no server: open index.html.
    """
    sign_of_life(quiet=options["quiet"])
    from rocov2_eval.front_door import model_opener, settings_of
    from rocov2_eval.leaderboard.board import BoardOptions, edition_of, make_leaderboard
    from rocov2_eval.leaderboard.rules import read_rules
    from rocov2_eval.leaderboard.site import holds_ranking, require_site_folder, write_site
    from rocov2_eval.leaderboard.store import ScoreStore
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
        raise UsageFault(
            "--decimals is only for a public board with a truth in use: other boards are not rounded"
        )
    with writing(site):
        require_site_folder(site, submissions)
    found, rejections = find_submissions(submissions)
    if not found and not rejections:
        raise UsageFault(f"{submissions} contains no <team>/<run>/ folder")
    rules = read_rules(submissions)
    named = options["edition"] or rules.edition
    edition, doubt = (named_edition(named), "") if named else edition_of(found)
    place = truth_places(options["truth"])[0]
    hidden = _hidden_place(options, rules, place)
    if options["show_hidden"] and hidden is None:
        raise UsageFault("--show-hidden needs --hidden-truth or --hidden-split")
    metrics = options["metrics"] or rules.metrics
    board_options = BoardOptions(
        settings=settings_of(edition.name, metrics=metrics, seed=options["seed"], **model_choices(options)),
        split=options["split"] or rules.split,
        tasks=options["tasks"] or rules.tasks,
        hidden=hidden,
        hidden_split=options["hidden_split"] or rules.hidden_split,
        shows_hidden=is_private or is_retired or options["show_hidden"],
        rules=rules,
        rank_by=options["rank_by"] or rules.rank_by or None,
        pairs=PairOptions(bootstrap=Bootstrap(seed=options["seed"])),
        is_compared=is_private or is_retired,
    )
    with _store_file(options["store"], submissions) as store_file, ScoreStore(store_file) as store:
        made = make_leaderboard(
            found,
            rejections,
            place=place,
            store=store,
            options=board_options,
            opener=model_opener(**opener_choices(options)),
            progress=progress_line("leaderboard", "runs", quiet=options["quiet"]),
        )
    if made.misfit and holds_ranking(site):
        raise UsageFault(f"{made.misfit}. {site} keeps its rankings: check the options and board.toml")
    made = replace(made, notes=tuple(text for text in (doubt, made.misfit, *made.notes) if text))
    with writing(site):
        if not (is_private or is_retired):
            shown = tuple(public_board(board, options["decimals"]) for board in made.boards)
            made = replace(made, boards=shown)
        # A public page shows no picture.
        images = options["images"] if is_private else None
        write_site(
            made,
            site,
            title=options["title"] or rules.title or "Leaderboard",
            private=is_private,
            truth_retired=is_retired,
            images=images,
        )
    click.echo(_summary(made, site), nl=False)
    if not options["quiet"]:
        _note_rest(made, site, private=is_private)
        if not (is_private or is_retired):
            _note_told(made, options["decimals"])


@leaderboard.command(
    "import", epilog="Example: rocov2-eval leaderboard import --from flat uploads/ --out submissions/"
)
@click.argument("uploads", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--from",
    "platform",
    required=True,
    type=click.Choice(["codabench", "flat"]),
    help="Origin of the files: a download of Codabench, or files named team__run.csv.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of submissions to add to.",
)
@click.option(
    "--mapping",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="CSV",
    help="Table with the columns file or owner, team, run, display_name, submitted_at, status.  [default: "
    "the names of files]",
)
@click.option(
    "--edition",
    callback=edition_name,
    metavar="YEAR|NAME",
    help="Edition of the runs.  [default: that of board.toml, or rocov2]",
)
@click.option(
    "--task",
    type=click.Choice(["concepts", "captions"]),
    help="Task of runs without a detectable task.  [default: concepts]",
)
@quiet_option
def import_(uploads: Path, **options: Any) -> None:
    """Put a platform's download into the layout of submissions.

    UPLOADS is a folder of files, or one archive of them. Files are copied without checks: the board checks
    them. Files that are already in the folder of submissions do not change.
    """
    from rocov2_eval.leaderboard.rules import read_rules
    from rocov2_eval.leaderboard.uploads import import_document, import_uploads

    out: Path = options["out"]
    rules = read_rules(out)
    edition = named_edition(options["edition"] or rules.edition or DEFAULT_EDITION)
    with writing(out):
        rows, notes = import_uploads(
            uploads,
            out,
            platform=options["platform"],
            mapping=options["mapping"],
            edition=edition.name,
            task=options["task"],
            rules=rules,
        )
    answer(import_document(rows, out), "text")
    for text in () if options["quiet"] else notes:
        note(text)


def _hidden_place(options: dict[str, Any], rules: Rules, place: Place) -> Place | None:
    """Return where the second truth lies: the folder named, else that of the first if its split is named."""
    from rocov2_eval.truth import Place

    if options["hidden_truth"]:
        return Place(path=options["hidden_truth"], origin="--hidden-truth")
    return place if options["hidden_split"] or rules.hidden_split else None


@contextmanager
def _store_file(named: Path | None, submissions: Path) -> Iterator[Path]:
    """Hand out the file of known scores; one for this time alone where a team took its name."""
    from rocov2_eval.leaderboard.store import FILE_NAME

    path = named or submissions / FILE_NAME
    # SQLite needs the second name while it writes.
    taken = [file for file in (path, path.with_name(f"{path.name}-journal")) if file.is_dir()]
    if named or not taken:
        yield path
        return
    lost = "scores are not stored for later boards"
    note(f"{taken[0]} is a folder, so {lost}: remove it, or name a file with --store")
    with TemporaryDirectory() as folder:
        yield Path(folder, FILE_NAME)


def _summary(made: Leaderboard, site: Path) -> str:
    """Return what became of the submissions, a line a board, and the truth that they were scored against."""
    from rocov2_eval.truth import truth_name

    lines = [_board_line(board) for board in made.boards]
    lines += [
        f"{name} truth of the {task}: {truth_name(truth.inputs)}".strip()
        for (name, task), truth in made.truths.items()
    ]
    lines += [f"rejected: {len(made.rejections):,}"] if made.rejections else []
    lines += [f"withdrawn or disqualified: {len(made.set_aside):,}"] if made.set_aside else []
    lines.append(f"scored {made.scored:,}, already scored {made.known:,}")
    return "".join(f"{line}\n" for line in [*lines, str(site / "index.html")])


def _board_line(board: Board) -> str:
    """Return how many runs a ranking has, which is the first, and how many are shown without a rank."""
    ranked = [standing.entry.name for standing in board.standings if standing.rank is not None]
    others = len(board.standings) - len(ranked)
    title = f"{board.task} by the {board.truth} truth" if board.truth else board.task
    first = f", first {ranked[0]}" if ranked else ""
    return f"{title}: {len(ranked):,} ranked by {board.primary}{first}" + (
        f", {others:,} without a rank" if others else ""
    )


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
        note(f"{site} contains the truth: do not publish it")


def _note_told(made: Leaderboard, decimals: int | None) -> None:
    """Note which public scores tell single images while the truth is in use."""
    from rocov2_eval.pages.disclosure import FEWEST_IMAGES, advice, public_decimals

    for board in made.boards:
        if board.images < FEWEST_IMAGES or (decimals or 0) > public_decimals(board.images):
            note(f"{board.task}: {advice(board.images, decimals)}")
