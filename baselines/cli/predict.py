"""The command that writes run files: `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from baselines.cli.session import (
    CACHE,
    DEVICE,
    FOLDER,
    LIBRARIES,
    NETWORKS,
    NEW_FILE,
    QUIET,
    opened_session,
    require,
    warn,
)


@click.command(epilog="Example: rocov2-baselines predict runs/b0 --data rocov2/ --split test -o run.csv")
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option(
    "--data", required=True, type=FOLDER, help="Dataset folder in the ROCOv2 layout, or a folder of pictures."
)
@click.option("--split", help="Split to answer.  [default: test; all images of a folder of pictures]")
@click.option("-o", "--out", required=True, type=NEW_FILE, help="Run file to write, a CSV.")
@click.option(
    "--ensemble",
    "others",
    multiple=True,
    type=FOLDER,
    help="Further run of concept detection in the ensemble; may be repeated.  [default: none]",
)
@click.option(
    "--combine",
    type=click.Choice(["mean", "union"]),
    default="mean",
    show_default=True,
    help="Combination of the ensemble: the mean probability of each concept over the runs that predict it, "
    "or the union of the decisions of all runs.",
)
@DEVICE
@CACHE
@QUIET
def predict(run: Path, data: Path, split: str | None, out: Path, **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Answer all images of a split or a folder.

    The best weights of the run folder RUN answer them. The challenge accepts the file: `rocov2-eval validate
    --strict` reports no fault in it. A picture that cannot be decoded is answered as a black one. stderr
    names the first of these pictures, and a file beside the run, such as run.unread.csv, lists all.
    """
    require(*NETWORKS)
    from baselines import predictions
    from baselines.data.dataset import is_dataset
    from baselines.runs import doubts_of
    from baselines.training.runlog import read_run
    from rocov2_eval.shelf.csv_files import write_csv
    from rocov2_eval.shelf.words import counted

    record = read_run(run)
    require(*LIBRARIES.get(record["recipe"]["run"]["task"], ()))
    folders = [run, *options["others"]]
    cache = options["cache"] or run.resolve().parent / "cache"
    # As in training: what decides was fitted to probabilities of that precision.
    precision: Literal["auto", "fp32"] = "auto" if record.get("precision") == "bf16" else "fp32"
    speaks = not options["quiet"]
    with opened_session(data, cache, options["device"], precision, "images", speaks=speaks) as session:
        answered = predictions.predict(folders, session, split, out, options["combine"])
    warn(doubts_of(run, out))
    unread = out.with_name(f"{out.stem}.unread.csv")
    unread.unlink(missing_ok=True)  # of an earlier try
    if answered.unread:
        write_csv(unread, ("ID", "Fault"), sorted(answered.unread.items()))
        click.echo(
            f"{unread}: all {counted(len(answered.unread), 'picture')} that cannot be decoded", err=True
        )
    if speaks:
        then = f"; rocov2-eval score {out} --truth {data}" if is_dataset(data) else ""
        click.echo(f"{out}: {answered.images:,} images{then}")
