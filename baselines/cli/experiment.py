"""The command of the experiments that ROCOv2 proposes: `experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from baselines.cli.session import (
    CACHE,
    DATA,
    DEVICE,
    NETWORKS,
    NEW_FOLDER,
    QUIET,
    SET,
    opened_session,
    require,
)
from rocov2_eval.cli.options import answer
from rocov2_eval.errors import UsageFault

_NAMES = ("modality", "semantic-types", "licences", "single-concept", "by-modality")
_STYLES = ("text", "markdown", "json", "csv", "latex")
_TABLE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(epilog="Example: rocov2-baselines experiment licences --data rocov2/ --recipe concepts_b0")
@click.argument("name", metavar="NAME", type=click.Choice(_NAMES))
@DATA
@click.option(
    "--recipe", default="concepts_b0", show_default=True, help="A recipe of concepts: a name or a TOML file."
)
@SET
@click.option("--split", default="test", show_default=True, help="Whose images are answered; with truth.")
@click.option(
    "--automatic",
    type=_TABLE,
    help="modality: ID,CUIs of training images by their captions, from `rocov2-build concepts extract`.",
)
@click.option("--unfiltered", type=_TABLE, help="semantic-types: the same with --types all.")
@click.option(
    "-o", "--out", type=NEW_FOLDER, help="Folder with a run an arm.  [default: runs/experiment-NAME]"
)
@click.option(
    "--format", "style", type=click.Choice(_STYLES), default="text", show_default=True, help="Output style."
)
@DEVICE
@CACHE
@QUIET
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
    from baselines.experiments import AUTOMATIC, UNFILTERED, experiment_document, run_experiment
    from rocov2_eval.rendering.render import render
    from rocov2_eval.shelf.files import write_text
    from rocov2_eval.shelf.folders import publishing

    recipe = read_recipe(options["recipe"], options["overrides"])
    if recipe.run.task != "concepts":
        raise UsageFault(
            f"--recipe {options['recipe']}: a recipe of {recipe.run.task}, expected one of concepts"
        )
    out = options["out"] or Path("runs") / f"experiment-{name}"
    tables = {AUTOMATIC: options["automatic"], UNFILTERED: options["unfiltered"]}
    cache = options["cache"] or out.parent / "cache"
    precision = recipe.tables["training"].precision
    speaks = not options["quiet"]
    with opened_session(data, cache, options["device"], precision, "steps", speaks=speaks) as session:
        given = {key: path for key, path in tables.items() if path}
        results = run_experiment(name, recipe, session, split=options["split"], out=out, tables=given)
    document = experiment_document(name, results)
    with publishing(out, None) as folder:
        write_text(folder / "table.md", render(document, "markdown"))
        write_text(folder / "table.json", render(document, "json"))
    answer(document, options["style"])
