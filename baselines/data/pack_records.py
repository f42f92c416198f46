"""What a pack says of itself: the record of a finished one, and the ledger of one that is being made.

folder/
  pack.json      plan, ids and blocks of a finished pack
  blocks.jsonl   one line a block that is done, while the work goes on
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from baselines.data.decoding import Fit
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.files import write_text

REVISION = 1  # raised whenever the same files give other pixels


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a pack is of, beside the pictures themselves.

    Attributes:
        ids: In the order of the rows.
        side: Height and width in pixels.
        fit: How a picture comes to a square.
        revision: Of the pixels.
    """

    ids: tuple[str, ...]
    side: int
    fit: Fit
    revision: int = REVISION

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some rows of a pack that were packed together.

    Attributes:
        number: From 0.
        stamps: Of the source files, see `picture_files.stamp`.
        sources: SHA-256 of each source file.
        faults: What is wrong with broken pictures, by id.
        pixels: SHA-256.
    """

    number: int
    stamps: tuple[str, ...]
    sources: tuple[str, ...]
    faults: Mapping[str, str]
    pixels: str


Blocks = dict[int, Block]


def read_record(folder: Path) -> tuple[Plan, Blocks] | None:
    """Return plan and blocks of a finished pack, None where there is none.

    Raises:
        RejectedInput: The record is broken.
    """
    path = folder / "pack.json"
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        plan = Plan(**{**document["plan"], "ids": tuple(document["plan"]["ids"])})
        return plan, {row["number"]: _block(row) for row in document["blocks"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RejectedInput(
            f"{path}: no record of a pack ({error}); delete {folder} and pack again"
        ) from None


def write_record(folder: Path, plan: Plan, blocks: Iterable[Block]) -> None:
    """Write the record of a finished pack; the ledger has served."""
    document = {"plan": asdict(plan), "blocks": [asdict(block) for block in blocks]}
    write_text(folder / "pack.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    ledger_of(folder).unlink(missing_ok=True)


def read_ledger(folder: Path, plan: Plan) -> Blocks:
    """Return the blocks that an interrupted run of this plan has noted."""
    ledger = ledger_of(folder)
    if not ledger.is_file():
        return {}
    wanted = plan.digest
    blocks = {}
    for line in ledger.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # torn by the interruption
            break
        if row["plan"] == wanted:
            blocks[row["number"]] = _block(row)
    return blocks


def open_ledger(folder: Path, plan: Plan, blocks: Iterable[Block]) -> None:
    """Begin a ledger with the blocks that stay; from here on nothing says that the pack is finished."""
    write_text(ledger_of(folder), "".join(ledger_line(plan, block) for block in blocks))
    (folder / "pack.json").unlink(missing_ok=True)


def ledger_of(folder: Path) -> Path:
    """Return the path of the ledger."""
    return folder / "blocks.jsonl"


def ledger_line(plan: Plan, block: Block) -> str:
    """Return the line of a block."""
    return json.dumps({"plan": plan.digest, **asdict(block)}, ensure_ascii=False) + "\n"


def content_digest(plan: Plan, blocks: Blocks) -> str:
    """Return the SHA-256 of ids and pixels."""
    sums: Sequence[str] = [plan.digest, *(blocks[number].pixels for number in sorted(blocks))]
    return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def _block(row: Mapping[str, Any]) -> Block:
    return Block(
        number=row["number"],
        stamps=tuple(row["stamps"]),
        sources=tuple(row["sources"]),
        faults=row["faults"],
        pixels=row["pixels"],
    )
