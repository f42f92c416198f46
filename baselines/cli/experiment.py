"""The command of the experiments that ROCOv2 proposes: `experiment`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from baselines.cli.train import NETWORKS, require
from rocov2_eval import command as border
from rocov2_eval.errors import UsageFault

_NAMES = ("modality", "semantic-types", "licences", "single-concept", "by-modality")
_TABLE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(epilog="Example: rocov2-baselines experiment licences --data rocov2/ --recipe concepts_b0")
@click.argument("name", metavar="NAME", type=click.Choice(_NAMES))
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Dataset folder in the ROCOv2 layout, with the truth of the split.",
)
@click.option(
    "--recipe", default="concepts_b0", show_default=True, help="Of concepts; a name or a TOML file."
)
@click.option(
    "--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE", help="Overrule a key of the recipe."
)
@click.option("--split", default="test", show_default=True, help="Whose images are answered.")
@click.option(
    "--automatic",
    type=_TABLE,
    help="modality: ID,CUIs of training images by their captions, from `rocov2-build concepts extract`.",
)
@click.option("--unfiltered", type=_TABLE, help="semantic-types: the same with --types all.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with a run an arm.  [default: runs/experiment-NAME]",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="How the table is written.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def experiment(name: str, data: Path, **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Train a recipe with one thing changed, and tell what it changes, with intervals.

    \b
    modality         automatic against manual concepts, for a modality classifier
    semantic-types   with and without the semantic-type filter
    licences         all allowed licences against CC BY only
    single-concept   with and without training images that have a single concept
    by-modality      F1 by modality, rare ones included

    What is trained already is not trained again: a killed experiment goes on.
    """  # noqa: D301  click wants the backspace itself
    require(*NETWORKS)
    from baselines.config import read_recipe
    from baselines.experiments import AUTOMATIC, UNFILTERED, run_experiment, table_json, table_text
    from baselines.runs import Reporting
    from baselines.training.runtime import opened
    from rocov2_eval.shelf.files import write_text

    recipe = read_recipe(options["recipe"], options["overrides"])
    if recipe.run.task != "concepts":
        raise UsageFault(
            f"--recipe {options['recipe']}: a recipe of {recipe.run.task}, expected one of concepts"
        )
    out = options["out"] or Path("runs") / f"experiment-{name}"
    given = {AUTOMATIC: options["automatic"], UNFILTERED: options["unfiltered"]}
    speaks = not options["quiet"]
    bars = speaks and sys.stderr.isatty()
    reporting = Reporting(
        note=(lambda text: click.echo(text, err=True)) if speaks else border.silent,
        packing=border.progress_bar("pictures packed", every=50) if bars else border.silent,
        steps=border.progress_bar("steps") if bars else border.silent,
    )
    with opened(options["device"], recipe.tables["training"].precision) as runtime:
        rows = run_experiment(
            name,
            recipe.document(),
            data,
            options["split"],
            out,
            runtime,
            out.parent / "packs",
            {key: path for key, path in given.items() if path},
            reporting,
        )
    write_text(out / "table.md", table_text(name, rows))
    write_text(out / "table.json", table_json(name, rows))
    click.echo(table_json(name, rows) if options["style"] == "json" else table_text(name, rows), nl=False)
