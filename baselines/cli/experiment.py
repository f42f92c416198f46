"""The command of the experiments that ROCOv2 proposes: `experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from baselines.experiments.questions import AUTOMATIC, EXPERIMENTS, MOST_SEEDS, UNFILTERED
from rocov2_eval.cli.options import answer
from rocov2_eval.errors import UsageFault

if TYPE_CHECKING:
    from baselines.training.runtime import Precision

_STYLES = ("text", "markdown", "json", "csv", "latex")
_TABLE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(epilog="Example: rocov2-baselines experiment licences --data rocov2/ --recipe concepts_b0")
@click.argument("name", metavar="NAME", type=click.Choice(tuple(EXPERIMENTS)))
@DATA
@click.option(
    "--recipe", default="concepts_b0", show_default=True, help="Recipe of concepts, a name or a TOML file."
)
@SET
@click.option("--split", default="test", show_default=True, help="Split to answer; it needs a truth.")
@click.option(
    "--automatic",
    type=_TABLE,
    help="CSV ID,CUIs of training and validation images, from `rocov2-build concepts extract`, for the "
    "question modality.",
)
@click.option(
    "--unfiltered",
    type=_TABLE,
    help="CSV ID,CUIs of all splits, from `rocov2-build concepts extract --types all`, for semantic-types.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, MOST_SEEDS),
    default=1,
    show_default=True,
    help="Number of trainings of each arm.",
)
@click.option(
    "-o", "--out", type=NEW_FOLDER, help="Folder of the runs and the page.  [default: runs/experiment-NAME]"
)
@click.option(
    "--format",
    "style",
    type=click.Choice(_STYLES),
    default="text",
    show_default=True,
    help="Format of the output.",
)
@DEVICE
@CACHE
@QUIET
def experiment(name: str, data: Path, **options: Any) -> None:  # noqa: ANN401  as click parsed them
    """Report the effect of one change of a recipe.

    The recipe is trained with and without the change. The report contains differences with intervals.

    \b
    modality         automatic against manual concepts, for a modality classifier
    semantic-types   with and without the semantic-type filter
    licences         all allowed licences against CC BY only
    single-concept   with and without training images that have a single concept
    by-modality      F1 by modality, including rare ones

    Finished trainings are not repeated: a repeated command continues an interrupted one.
    """  # noqa: D301  click wants the backspace itself
    require(*NETWORKS)
    from baselines.config import read_recipe
    from baselines.experiments.arms import run_experiment
    from baselines.experiments.page import experiment_document, write_page
    from rocov2_eval.shelf.folders import publishing

    recipe = read_recipe(options["recipe"], options["overrides"])
    if "decision" not in recipe.tables:
        raise UsageFault(
            f"--recipe {options['recipe']}: a recipe of {recipe.run.task}, expected a recipe of concepts"
        )
    out = options["out"] or Path("runs") / f"experiment-{name}"
    tables = {AUTOMATIC: options["automatic"], UNFILTERED: options["unfiltered"]}
    given = {key: path for key, path in tables.items() if path}
    cache = options["cache"] or out.parent / "cache"
    precision: Precision = getattr(recipe.tables.get("training"), "precision", "fp32")
    speaks = not options["quiet"]
    with opened_session(data, cache, options["device"], precision, "steps", speaks=speaks) as session:
        outcome = run_experiment(name, recipe, session, options["split"], out, given, seeds=options["seeds"])
    with publishing(out, None) as folder:
        write_page(outcome, folder)
    answer(experiment_document(outcome), options["style"])
