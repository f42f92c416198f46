"""The command that makes competitions for platforms."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rocov2_eval.cli.options import edition_option, note, writing
from rocov2_eval.errors import UsageFault

if TYPE_CHECKING:
    from rocov2_eval.codabench import BundleOptions

_LONGEST_TITLE = 256
_DATE = "%Y-%m-%d %H:%M:%S"
_date = click.DateTime(["%Y-%m-%d", _DATE])


@click.group(epilog="Example: rocov2-eval bundle codabench --truth data/ --out bundle.zip")
def bundle() -> None:
    """Make a competition for a platform."""


@bundle.command(epilog="Example: rocov2-eval bundle codabench --truth data/ --out bundle.zip --task concepts")
@click.option(
    "--truth",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR|FILE",
    help="ROCOv2 dataset folder or truth file. It goes into the archive.",
)
@edition_option
@click.option(
    "--out",
    "--output",
    "out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The archive to upload. It holds the truth: keep it secret.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(["concepts", "captions"]),
    help="Only this task; may be repeated; else all that the truth has.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    help="Take this split; else the only one, or test.",
)
@click.option(
    "--image",
    metavar="NAME",
    help="Docker image that holds rocov2-eval and, for BERTScore, the weights; else wheels travel along.",
)
@click.option(
    "--wheels",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder of wheels to send along; else they are fetched with pip.",
)
@click.option("--encoder", help="Text encoder of BERTScore in the image.  [default: deberta-xlarge-mnli]")
@click.option("--title", help="Of the competition; else it names the tasks.")
@click.option("--start", type=_date, help="When it opens, in UTC; else today.")
@click.option("--end", type=_date, help="When it closes, in UTC; else never.")
@click.option("--contact", metavar="ADDRESS", help="E-mail address of the organisers.")
@click.option("--queue", metavar="VHOST", help="Queue of your own compute workers; else the platform's.")
@click.option(
    "--time-limit",
    type=click.IntRange(min=60),
    metavar="SECONDS",
    help="For one submission; else 600 and for each image 0.01, or 2 with BERTScore.",
)
@click.option(
    "--max-per-day",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Submissions of a participant a day.",
)
@click.option(
    "--max-total",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Submissions of a participant in all.",
)
def codabench(**options: Any) -> None:
    """Make a Codabench v2 competition with everything in it.

    Pages, phase, tasks, reference data, scoring programs, leaderboard, starting kit. The starting kit is
    scored before the archive is written. docs/codabench.md tells what to do with it.
    """
    from rocov2_eval.codabench import make_bundle
    from rocov2_eval.front_door import model_opener
    from rocov2_eval.shelf.files import write_bytes
    from rocov2_eval.truth import Place

    out: Path = options["out"]
    with writing(out):
        if out.exists() and not options["force"]:
            raise UsageFault(f"{out} exists already: add --force to replace it")
    made = _bundle_options(options)
    place = Place(path=options["truth"], origin="--truth")
    archive = make_bundle(place, made, model_opener(notify=note), note)
    with writing(out):
        write_bytes(out, archive)
    click.echo(out)
    note(f"{out} holds the truth: keep it secret. Its README.md tells what to do after the upload.")


def _bundle_options(options: dict[str, Any]) -> BundleOptions:
    from rocov2_eval.codabench import BundleOptions

    _check(options)
    start = options["start"] or datetime.now(UTC).replace(hour=0, minute=0, second=0, tzinfo=None)
    if options["end"] and options["end"] <= start:
        raise UsageFault(f"--end {options['end']} is not after --start {start:{_DATE}}")
    return BundleOptions(
        edition=options["edition"],
        tasks=options["tasks"] or None,
        split=options["split"],
        image=options["image"],
        wheels=options["wheels"],
        encoder=options["encoder"] or BundleOptions.encoder,
        title=options["title"] or "",
        start=start.strftime(_DATE),
        end=options["end"].strftime(_DATE) if options["end"] else None,
        contact=options["contact"],
        queue=options["queue"],
        time_limit=options["time_limit"],
        max_per_day=options["max_per_day"],
        max_total=options["max_total"],
    )


def _check(options: dict[str, Any]) -> None:
    """Refuse options that exclude each other, or that the platform would refuse after the upload."""
    if options["image"] and options["wheels"]:
        raise UsageFault("--image and --wheels exclude each other: one of them holds the program")
    if options["encoder"] and not options["image"]:
        raise UsageFault(
            "--encoder needs --image: torch and weights cannot travel in wheels, "
            "so that without an image there is no BERTScore"
        )
    for name in ("image", "encoder", "queue"):
        if any(character.isspace() for character in options[name] or ""):
            raise UsageFault(
                f"--{name} {options[name]!r} holds a blank, at which the platform splits commands"
            )
    if options["title"] is not None and not 0 < len(options["title"].strip()) <= _LONGEST_TITLE:
        raise UsageFault(f"--title: expected 1 to {_LONGEST_TITLE} characters, found {len(options['title'])}")
    if options["contact"] and not re.fullmatch(r"[^@\s]+@[^@\s]+", options["contact"]):
        raise UsageFault(f"--contact {options['contact']!r} is no e-mail address")
