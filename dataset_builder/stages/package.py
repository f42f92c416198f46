"""Judge the figures that are left, and write the dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from dataset_builder.concepts.table import read_names
from dataset_builder.gates import judge
from dataset_builder.packaging import Contents, write_dataset
from dataset_builder.record_lines import to_lines
from dataset_builder.records import Figure
from dataset_builder.report import report_page
from dataset_builder.stages.stage import Context, Result, Stage
from rocov2_eval.errors import RejectedInput

NAME = "package"
GATES = "gates.jsonl"  # in the store: what the gates came to when the dataset was last written
_SUMS = "SHA256SUMS"


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Write the dataset, unless a gate that was told to fails."""
    gates = judge(figures, context.counts, context.tables["gates"])
    context.store.write(GATES, to_lines(gates))
    failed = [gate for gate in gates if gate.outcome == "fail"]
    if failed:
        messages = "; ".join(f"{gate.name}: {gate.message}" for gate in failed)
        raise RejectedInput(f"no dataset is written, for a quality gate fails: {messages}")
    salt = context.store.read("salt")
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
    written = [path for path in (context.out / _SUMS, truth) if path.is_file()]
    return Result(kept=numbered, products={str(path): _digest(path) for path in written})


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
