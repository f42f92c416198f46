"""Judge the figures that are left, and write the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dataset_builder.concepts.table import read_names
from dataset_builder.gates import judge
from dataset_builder.option_tables import file_digest
from dataset_builder.packaging import Contents, write_dataset
from dataset_builder.packaging.sums import SUMS
from dataset_builder.record_lines import to_lines
from dataset_builder.records import Figure
from dataset_builder.report import report_page
from dataset_builder.stages.stage import Context, Result, Stage
from rocov2_eval.errors import RejectedInput

NAME = "package"
SALT = "salt"  # in the store: the secret that the order of the held-out images comes from
GATES = "gates.jsonl"  # in the store: what the gates came to when the dataset was last written


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Write the dataset, unless a gate that was told to fails."""
    gates = judge(figures, context.counts, context.tables["gates"])
    context.store.write(GATES, to_lines(gates))
    failed = [gate for gate in gates if gate.outcome == "fail"]
    if failed:
        messages = "; ".join(f"{gate.name}: {gate.message}" for gate in failed)
        raise RejectedInput(f"no dataset is written, for a quality gate fails: {messages}")
    salt = context.store.read(SALT)
    assert salt, "the runner has made one"
    numbered = write_dataset(
        Contents(
            figures=figures,
            read=context.read,
            concept_names=read_names(context.tables["concepts"].names),
            page=report_page,
            counts=tuple(context.counts),
            gates=gates,
            provenance={"stages": dict(context.provenance)},
            salt=salt,
            earlier={key: earlier.image_id for key, earlier in context.earlier.items()},
        ),
        context.tables["package"],
        context.out,
        context.progress,
    )
    truth = Path(f"{context.out}-truth.zip")
    written = [path for path in (context.out / SUMS, truth) if path.is_file()]
    return Result(kept=numbered, products={str(path): file_digest(path) for path in written})


STAGE = Stage(
    name=NAME,
    title="in the dataset",
    tables=("source", "concepts", "gates", "package"),
    takes=Figure,
    gives=Figure,
    run=run,
    scope="all",
    libraries=("pillow", "pyarrow"),
)
