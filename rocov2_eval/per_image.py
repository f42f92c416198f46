"""The score of each image as a file: CSV or Parquet."""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.scoring import Report
from rocov2_eval.shelf.csv_files import csv_text
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.files import write_bytes


def check_per_image(path: Path) -> None:
    """Refuse a file that `write_per_image` could not write, before hours are spent on its scores.

    Raises:
        UsageFault: The suffix is neither .csv nor .parquet.
        MissingResource: Parquet without pyarrow.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise UsageFault(f"--per-image {path}: expected a file name that ends in .csv or .parquet")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        message = f"Parquet needs pyarrow: name a .csv file, or {install_command('parquet')}"
        raise MissingResource(message)


def write_per_image(path: Path, report: Report) -> None:
    """Write the score of each image, CSV or Parquet by suffix; an unscored image has an empty cell.

    Raises:
        UsageFault: Another suffix.
        MissingResource: Parquet without pyarrow.
    """
    check_per_image(path)
    columns = report.image_columns
    if path.suffix == ".csv":
        write_bytes(path, csv_text(columns, zip(*columns.values(), strict=True)).encode())
    else:
        write_bytes(path, _parquet(columns))


def _parquet(columns: Mapping[str, list[Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pa.table(dict(columns)), buffer)
    return buffer.getvalue()
