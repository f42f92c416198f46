"""Read a CSV file with a header: every fault is told with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from rocov2_eval.errors import RejectedInput
from rocov2_eval.findings import shorten
from rocov2_eval.formats import BYTE_ORDER_MARK, load


def csv_rows(path: Path, header: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a file, by column, with the line on which each ends.

    Args:
        path: The file.
        header: Columns that it must have; further ones are allowed.

    Raises:
        RejectedInput: It cannot be read, a column is missing, or a row is not as wide as the header.
    """
    reader = csv.DictReader(io.StringIO(load(path).text.removeprefix(BYTE_ORDER_MARK), newline=""))
    try:
        names = reader.fieldnames or ()
        lacking = [name for name in header if name not in names]
        if lacking:
            raise RejectedInput(f"{path}:1: no column {', '.join(lacking)} among {shorten(', '.join(names))}")
        for row in reader:
            if None in row or None in row.values():
                raise RejectedInput(f"{path}:{reader.line_num}: expected {len(names)} cells as in the header")
            yield reader.line_num, row
    except csv.Error as error:
        raise RejectedInput(f"{path}:{reader.line_num}: {error}") from None
