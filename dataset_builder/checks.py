"""What was looked at and whether it is as expected: of a finished dataset, and of PMC's service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rocov2_eval.rendering.document import Column, Document, Section, Table
from rocov2_eval.shelf.words import counted


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What was looked at, such as `licence code`.
        is_fine: Whether it is as expected.
        found: What was found, for people.
    """

    name: str
    is_fine: bool
    found: str


def checks_document(checks: Sequence[Check]) -> Document:
    """Return the checks, one a row."""
    columns = (Column(title="", key="outcome"), Column(title="", key="check"), Column(title="", key="found"))
    rows = [("ok" if check.is_fine else "FAIL", check.name, check.found) for check in checks]
    failed = sum(not check.is_fine for check in checks)
    return Document(
        sections=[Section(tables=[Table(columns=columns, rows=rows)])],
        data={"checks": [asdict(check) for check in checks]},
        summary=f"{failed} of {counted(len(checks), 'check')} failed",
    )
