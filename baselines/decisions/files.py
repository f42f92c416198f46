"""The files of a run folder that turn probabilities into concepts.

folder/
  labels.csv     the label order, with canonical names
  decision.json  the rule with its parameters
  decisions.csv  what each rule is worth on the validation split
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from baselines.decisions import Choice, Decision
from baselines.documents import read_document, write_document
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import read_rows, write_csv

LABELS, DECISION, GAINS = "labels.csv", "decision.json", "decisions.csv"


def save_decision(folder: Path, labels: Sequence[str], names: Mapping[str, str], choice: Choice) -> None:
    """Write the three files.

    Args:
        folder: The run folder.
        labels: The label order.
        names: Canonical name by CUI.
        choice: The rule that the run decides by, and what each rule is worth.
    """
    write_csv(folder / LABELS, ("CUI", "Canonical name"), [(cui, names.get(cui, "")) for cui in labels])
    write_document(folder / DECISION, choice.decision)
    write_csv(
        folder / GAINS,
        ("rule", "parameters", "valid_f1", "gain_over_half"),
        [
            (
                gain.decision.rule,
                json.dumps(dict(gain.decision.parameters)),
                f"{gain.valid:.6f}",
                f"{gain.gain:.6f}",
            )
            for gain in choice.gains
        ],
    )


def read_labels(folder: Path) -> tuple[str, ...]:
    """Return the label order of a run folder.

    Raises:
        MissingResource: The folder has none.
        RejectedInput: A label stands twice, or there is none.
    """
    path = folder / LABELS
    if not path.is_file():
        raise MissingResource(f"{path}: no such file; name the folder of a finished run")
    labels = tuple(row["CUI"] for _, row in read_rows(path, ("CUI",)))
    if not labels or len(set(labels)) < len(labels):
        raise RejectedInput(f"{path}: {len(labels)} labels, expected one or more, each once, in a column CUI")
    return labels


def read_decision(folder: Path) -> Decision:
    """Return the decision of a run folder.

    Raises:
        MissingResource: The folder has none.
        RejectedInput: The file is damaged.
    """
    try:
        return read_document(folder / DECISION, Decision)
    except UsageFault as error:
        raise RejectedInput(f"{folder / DECISION}: {error}") from None
