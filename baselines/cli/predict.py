"""The command that writes run files: `predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click

from baselines.cli.train import LIBRARIES, NETWORKS, require
from rocov2_eval import command as border
from rocov2_eval.errors import UsageFault

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(epilog="Example: rocov2-baselines predict runs/b0 --data rocov2/ --split test --out run.csv")
@click.argument("run", metavar="RUN", type=_FOLDER)
@click.option("--data", required=True, type=_FOLDER, help="Dataset folder in the ROCOv2 layout.")
@click.option("--split", default="test", show_default=True, help="Which images to answer.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The run file, a CSV."
)
@click.option(
    "--ensemble",
    "others",
    multiple=True,
    type=_FOLDER,
    help="A further run of concept detection, whose probabilities are averaged with it; may be repeated.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--packs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where packed pictures are kept between runs.  [default: packs beside the run]",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def predict(run: Path, data: Path, split: str, out: Path, **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Answer every image of a split with the best weights of a run folder.

    The file is what the challenge takes: `rocov2-eval validate --strict` finds nothing in it.
    """
    require(*NETWORKS)
    from baselines.predictions import predict_captions, predict_concepts
    from baselines.runs import Reporting
    from baselines.training.runlog import read_run
    from baselines.training.runtime import opened

    folders = [run, *options["others"]]
    tasks = {read_run(folder)["recipe"]["run"]["task"] for folder in folders}
    if "filter" in tasks:
        raise UsageFault(f"{run}: an image filter has no run file; rocov2-baselines export hands it on")
    if len(tasks) > 1 or (len(folders) > 1 and tasks != {"concepts"}):
        raise UsageFault("--ensemble goes with runs of concept detection alone")
    require(*(name for task in sorted(tasks) for name in LIBRARIES.get(task, ())))
    bars = sys.stderr.isatty() and not options["quiet"]
    reporting = Reporting(
        packing=border.progress_bar("pictures packed", every=50) if bars else border.silent,
        steps=border.progress_bar("images") if bars else border.silent,
    )
    packs = options["packs"] or run.resolve().parent / "packs"
    # As in training: what decides was fitted to probabilities of that precision.
    precision: Literal["auto", "fp32"] = "auto" if read_run(run).get("precision") == "bf16" else "fp32"
    with opened(options["device"], precision) as runtime, runtime.autocast():
        if tasks == {"concepts"}:
            answered = predict_concepts(folders, data, split, out, packs, runtime.device, reporting)
        else:
            answered = predict_captions(run, data, split, out, packs, runtime.device, reporting)
    if not options["quiet"]:
        click.echo(f"{out}: {answered:,} images; rocov2-eval score {out} --truth {data}")
