"""The command `rocov2-eval`: parse, call, print; nothing else.

What a command needs is imported inside it, so that `--help` costs nothing.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rocov2_eval import __version__
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS
from rocov2_eval.errors import ExitCode, MissingResource, RejectedInput, RocoError, UsageFault

if TYPE_CHECKING:
    from rocov2_eval.editions import Edition
    from rocov2_eval.formats import Source, Table
    from rocov2_eval.metric import Metric, Options
    from rocov2_eval.records import Finding, Task
    from rocov2_eval.truth import Place, Truth

_FORMATS = ("text", "json", "markdown", "github")
_FACETS = ("modality", "region", "direction", "concepts")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_BUG = "This is a bug of rocov2-eval. Please report it with the lines above and, if you may, the file."

_edition = click.option(
    "--edition",
    type=click.Choice(list(EDITIONS)),
    default=DEFAULT_EDITION,
    show_default=True,
    help="Whose rules: reader, limits, metrics.",
)
_truth = click.option(
    "--truth",
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR|FILE",
    help="ROCOv2 dataset folder or truth file; else $ROCOV2_DATA, the config file, the bundled sample.",
)
_split = click.option(
    "--split", type=click.Choice(["train", "valid", "test"]), help="Take this split; else the ids tell."
)
_task = click.option(
    "--task", type=click.Choice(["concepts", "captions"]), help="Else the header or the cells tell."
)
_format = click.option(
    "--format",
    "style",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
_output = click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the answer to this file, not to stdout.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rocov2-eval")
def app() -> None:
    """Score radiology image-caption runs exactly as ImageCLEFmedical Caption does.

    \b
    rocov2-eval score run.csv                 the number the organisers will publish
    rocov2-eval validate run.csv --strict     every fault of the file at once
    rocov2-eval doctor                        what this machine can score
    """  # noqa: D301  click wants the backspace itself


@app.command(epilog="Example: rocov2-eval score run.csv --truth data/ --by modality --per-image scores.csv")
@click.argument("run", type=click.Path(path_type=Path))
@_truth
@_edition
@_split
@_task
@click.option("--metric", "metrics", multiple=True, help="Only this metric or score; may be repeated.")
@click.option(
    "--per-image",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write each image's scores: .csv, .parquet.",
)
@click.option("--by", multiple=True, type=click.Choice(_FACETS), help="Break down by; may be repeated.")
@click.option("--ci/--no-ci", default=True, show_default=True, help="95 % percentile bootstrap intervals.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=20260101,
    show_default=True,
    help="Seed of the bootstrap and of --verify.",
)
@_format
@_output
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where BERTScore runs; auto takes the first of cuda, mps and cpu that is there.",
)
@click.option(
    "--encoder",
    default="deberta-xlarge-mnli",
    show_default=True,
    help="Text encoder of BERTScore: a name of `models list`, or the folder of a model.",
)
@click.option("--layer", type=click.IntRange(min=1), help="Layer of a model folder; else its last.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Of BERTScore; fp32 is official.",
)
@click.option(
    "--cache/--no-cache",
    "use_cache",
    default=True,
    show_default=True,
    help="Keep token embeddings for the next run.",
)
@click.option("--lenient", is_flag=True, help="Score what can be scored, a missing image as 0; not official.")
@click.option(
    "--verify", type=click.IntRange(min=1), help="Score N random images with the reference libraries too."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")
def score(run: Path, **options: Any) -> None:
    """Score a run: a CSV file, or a zip archive with one in it.

    Task, split and truth are found by themselves where they can be. The answer goes to stdout; findings,
    progress and notes go to stderr.
    """
    from rocov2_eval.reporters import (
        REPORTERS,
        check_per_image,
        findings_github,
        findings_text,
        write_per_image,
    )
    from rocov2_eval.resampling import Bootstrap
    from rocov2_eval.scoring import Settings, evaluate
    from rocov2_eval.verification import choose, require_libraries, verify

    settings = Settings(
        edition=EDITIONS[options["edition"]],
        metrics=options["metrics"],
        by=tuple(dict.fromkeys(options["by"])),
        bootstrap=Bootstrap(seed=options["seed"]) if options["ci"] else None,
        lenient=options["lenient"],
        encoder=options["encoder"],
        layer=options["layer"],
        precision=options["precision"],
    )
    opener = _opener(options["device"], use_cache=options["use_cache"], quiet=options["quiet"])
    if options["per_image"]:
        check_per_image(options["per_image"])
    source, table, truth = _read(run, options)
    if options["verify"]:
        require_libraries(truth.task)
    try:
        report = evaluate(source, table, truth, settings, opener)
    except RejectedInput as error:
        if options["style"] == "github":  # annotations are read from stdout
            click.echo(findings_github(error.findings), nl=False)
        raise
    if report.findings and not options["quiet"] and options["style"] != "github":
        click.echo(findings_text(report.findings), err=True, nl=False)
    differences = None
    if options["verify"]:
        images = choose(report, options["verify"], options["seed"])
        device = "cpu" if options["device"] == "auto" else options["device"]
        differences = verify(report, images, run=table, truth=truth, settings=settings, device=device)
    if options["per_image"]:
        with _writing(options["per_image"]):
            write_per_image(options["per_image"], report)
    _answer(REPORTERS[options["style"]](report, differences), options["output"])


@app.command(epilog="Example: rocov2-eval validate run.csv --edition imageclef-2026 --strict")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_truth
@_edition
@_split
@_task
@click.option("--strict", is_flag=True, help="Apply the platform's 2026 format check too.")
@_format
@_output
def validate(files: Sequence[Path], **options: Any) -> int:
    """Report every fault of runs and of metadata at once.

    Files that end in .json are submission.json or result.json. One SUMMARY line a file comes last, on stderr
    unless the answer is text on stdout. Exit code 1 if any file is rejected.
    """
    from rocov2_eval.findings import is_rejected
    from rocov2_eval.reporters import FINDING_REPORTERS, summary

    found = {path: _findings(path, options) for path in files}
    together = [item for items in found.values() for item in items]
    _answer(FINDING_REPORTERS[options["style"]](together), options["output"])
    for path, items in found.items():
        click.echo(summary(str(path), items), err=options["style"] != "text" or bool(options["output"]))
    return ExitCode.INPUT_REJECTED if is_rejected(together) else ExitCode.OK


@app.command(epilog="Example: rocov2-eval explain R301")
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Say why a finding matters and how to fix it; alone, list all."""
    from rocov2_eval import findings

    if code is None:
        for name, rule in findings.RULES.items():
            click.echo(f"{name}  {rule.title}")
        return
    try:
        click.echo(findings.explain(code), nl=False)
    except KeyError:
        raise UsageFault(f"no rule {code!r}; `rocov2-eval explain` lists them") from None


@app.command(epilog="Example: rocov2-eval sample ./sample")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def sample(folder: Path) -> None:
    """Copy the small bundled dataset to a new folder.

    It is in the ROCOv2 layout: see what --truth expects, and try commands on it.
    """
    import shutil

    from rocov2_eval.truth import sample_folder

    if folder.exists():
        raise UsageFault(f"{folder} exists already; name a new folder")
    with _writing(folder):
        shutil.copytree(sample_folder(), folder)
    click.echo(f"{folder}: 3 splits; see {folder / 'README.md'}")


@app.command(epilog="Example: rocov2-eval doctor --format json")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
def doctor(style: str) -> None:
    """Say what this machine can score and what it lacks.

    Libraries, weights, device, where the truth is looked for, config file and cache, and what is missing for
    which edition.
    """
    from rocov2_eval import doctor as examination
    from rocov2_eval.reporters import to_json

    places = [(place.origin, place.path) for place in _places(None)]
    checks = examination.examine(_cache_folder(), _config_file(), places)
    click.echo(
        to_json(examination.document(checks)) if style == "json" else examination.text(checks), nl=False
    )


@app.group(epilog="Example: rocov2-eval models list")
def models() -> None:
    """Show and fetch the weights of the text encoders."""


@models.command("list", epilog="Example: rocov2-eval models list")
def models_list() -> None:
    """List the encoders and where their weights are."""
    from rocov2_eval.models import ENCODERS, locate

    for name, row in ENCODERS.items():
        try:
            folder = locate(name)
            where = str(folder.path) if folder else f"not here; {row.get_command}"
        except MissingResource as error:
            where = f"not here; {error}"
        official = "official" if row.official else "stand-in: scores are not comparable with official ones"
        click.echo(f"{name}: {row.origin}, layer {row.layer}, {row.size}, {row.licence}")
        click.echo(f"  {official}\n  {where}")


@models.command("path", epilog="Example: rocov2-eval models path minilm")
@click.argument("name")
def models_path(name: str) -> None:
    """Print the folder that holds the weights of an encoder."""
    from rocov2_eval.models import require

    click.echo(require(name).path)


@models.command("fetch", epilog="Example: rocov2-eval models fetch deberta-xlarge-mnli")
@click.argument("name")
def models_fetch(name: str) -> None:
    """Download the weights of an encoder and check them.

    Goes on where an earlier attempt stopped. Honours HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.
    """
    from rocov2_eval.models import fetch

    folder = fetch(name, _note)
    click.echo(folder.path)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with the exit code that README.md lists."""
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError as error:  # a full disk: unless the rest is dropped, Python tries again and ends with 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = code or _report_unexpected(error)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    stdout = sys.stdout
    try:
        return app.main(arguments, prog_name="rocov2-eval", standalone_mode=False) or ExitCode.OK
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except SystemExit:
        if sys.stdout is stdout:
            raise
        # click has wrapped it: its reader left, as `head` does, and nobody is there to be told
        return ExitCode.OK
    except RocoError as error:
        _report_error(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001  the border of the program: whatever comes here is our bug
        return _report_unexpected(error)


def _report_error(error: RocoError) -> None:
    if isinstance(error, RejectedInput) and error.findings:
        from rocov2_eval.reporters import findings_text, summary

        click.echo(findings_text(error.findings), err=True, nl=False)
        click.echo(summary(error.findings[0].path, error.findings), err=True)
        return
    click.echo(f"Error: {error}", err=True)


def _report_unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in _FULL:
        click.echo(f"Error: {error.strerror}: make room and run the command again", err=True)
        return ExitCode.MISSING_RESOURCE
    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.echo(_BUG, err=True)
    return ExitCode.BUG


def _read(path: Path, options: dict[str, Any]) -> tuple[Source, Table, Truth]:
    """Read a run and the truth that goes with it."""
    from rocov2_eval.findings import finding, is_rejected
    from rocov2_eval.formats import load, sniff_task
    from rocov2_eval.truth import find_truth
    from rocov2_eval.validation import read_run

    source = load(path)
    task: Task | None = options["task"] or sniff_task(source)
    if task is None:
        empty = not source.text.strip()
        code, message = (
            ("R003", "the file is empty") if empty else ("R007", "neither header nor cells tell the task")
        )
        raise RejectedInput(message, [finding(code, str(path), None, message)])
    edition = EDITIONS[options["edition"]]
    table = read_run(source, edition, task)
    try:
        return (
            source,
            table,
            find_truth(
                table,
                task,
                edition,
                _places(options["truth"]),
                split=options["split"],
                facets=bool(options.get("by")),
            ),
        )
    except MissingResource:
        found = _faults_of_reading(source, table, edition, task)
        if not is_rejected(found):
            raise
        raise RejectedInput(f"{path} cannot be read", found) from None


def _faults_of_reading(source: Source, table: Table, edition: Edition, task: Task) -> list[Finding]:
    """Return what may be the reason that no truth has the ids of a run."""
    from rocov2_eval.editions import caption_rules
    from rocov2_eval.findings import finding
    from rocov2_eval.validation import guess_dialect

    dialect = caption_rules(edition).dialect if task == "captions" else edition.concepts.dialect
    found = [*guess_dialect(source, dialect), *table.findings]
    if not table.image_ids:
        found.append(finding("R003", table.path, None, "no row with an image id"))
    return found


def _findings(path: Path, options: dict[str, Any]) -> Sequence[Finding]:
    """Return the findings of one file, those that stop its reading included."""
    from rocov2_eval.formats import load
    from rocov2_eval.schemas import check_json_file
    from rocov2_eval.scoring import check

    try:
        if path.suffix == ".json":
            return check_json_file(str(path), load(path).text)
        source, table, truth = _read(path, options)
    except RejectedInput as error:
        return error.findings
    return check(source, table, truth, EDITIONS[options["edition"]], strict=options["strict"])


def _places(given: Path | None) -> list[Place]:
    """Return where to look for the truth, in order."""
    from rocov2_eval.truth import Place, sample_folder

    if given:
        return [Place(path=given, origin="--truth")]
    places = []
    if os.environ.get("ROCOV2_DATA"):
        places.append(Place(path=Path(os.environ["ROCOV2_DATA"]).expanduser(), origin="$ROCOV2_DATA"))
    config = _config_file()
    if config.is_file():
        places.append(Place(path=_configured_data(config), origin=f"data in {config}"))
    return [*places, Place(path=sample_folder(), origin="bundled sample")]


def _config_file() -> Path:
    return Path(click.get_app_dir("rocov2-eval")) / "config.toml"


def _configured_data(config: Path) -> Path:
    import tomllib

    try:
        data = tomllib.loads(config.read_text(encoding="utf-8")).get("data")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageFault(f"{config}: {error}") from None
    if not isinstance(data, str):
        raise UsageFault(f'{config}: expected a line like data = "/path/of/the/dataset"')
    return Path(data).expanduser()


def _opener(
    device: str, *, use_cache: bool, quiet: bool
) -> Callable[[Metric, Options], AbstractContextManager[Any]]:
    """Return what opens a metric's model, with progress on a terminal's stderr."""

    def opened(metric: Metric, options: Options) -> AbstractContextManager[Any]:
        assert metric.load is not None
        shown = sys.stderr.isatty() and not quiet
        return metric.load(
            options,
            device=device,
            cache=_cache_folder() if use_cache else None,
            progress=_progress(metric.name) if shown else _silent,
            notify=_silent if quiet else _note,
        )

    return opened


def _silent(*_: object) -> None:
    """Say nothing."""


def _note(text: str) -> None:
    click.echo(text, err=True)


def _progress(name: str) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        filled = 30 * done // max(total, 1)
        end = "\n" if done >= total else ""
        click.echo(
            f"\r{name} [{'#' * filled}{'.' * (30 - filled)}] {done:,}/{total:,}{end}", err=True, nl=False
        )

    return show


def _cache_folder() -> Path:
    base = os.environ.get("ROCOV2_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return Path(base) / "rocov2-eval" if base else Path.home() / ".cache" / "rocov2-eval"


def _answer(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    from rocov2_eval.formats import write_text

    with _writing(output):
        write_text(output, text)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a message for the user who named the path."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise UsageFault(f"{path} cannot be written: {error.strerror or error}") from None


if __name__ == "__main__":
    main()
