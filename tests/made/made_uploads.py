"""Forty uploads in the names of twelve teams, as organisers get them, with two truths and rules of a board.

Names of teams have what names have: signs of LaTeX, HTML and formulas, accents, and Chinese. One upload is
made to do harm, one is late, one is withdrawn, and one team is the organisers' own baseline.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TEAMS = (
    "DS@BioMed",
    "AUEB NLP Group",
    "\u00c9quipe Imagerie & Texte",
    "\u5317\u4eac\u5f71\u50cf\u5b9e\u9a8c\u5ba4",
    "UMass_BioNLP 100%",
    "\u0141\u00f3d\u017a Vision #1",
    "=SUM(Lab)",
    "<b>Bold</b> $Lab$ {x}",
    "Back\\slash ~ ^ Lab",
    "\u6771\u4eac [X](http://example.org)",
    "Eve | Lab",
    "Organisers",
)
HOSTILE, BASELINE = "Eve | Lab", "Organisers"
DEADLINE = "2026-05-31T23:59:00+02:00"
MODALITIES = ("C0040405", "C1306645", "C0032743")


@dataclass(frozen=True, kw_only=True)
class MadeBoard:
    """Where the files of a made board lie.

    Attributes:
        uploads: The flat folder of uploads.
        mapping: CSV file with what their names do not tell.
        rules: A board.toml.
        public, hidden: Folders of two truths of different images.
    """

    uploads: Path
    mapping: Path
    rules: Path
    public: Path
    hidden: Path


def made_board(folder: Path, *, uploads: int = 40, images: tuple[int, int] = (60, 90)) -> MadeBoard:
    """Write the files of a board.

    Args:
        folder: Gets the files.
        uploads: Number of uploads; the first ones are one of each team.
        images: Number of images of the public and of the hidden truth.
    """
    board = MadeBoard(
        uploads=folder / "uploads",
        mapping=folder / "mapping.csv",
        rules=folder / "board.toml",
        public=folder / "public",
        hidden=folder / "hidden",
    )
    for path in (board.uploads, board.public, board.hidden):
        path.mkdir(parents=True)
    ids = [f"made_{i:04}" for i in range(sum(images))]
    cells = [f"{MODALITIES[i % 3]};C1{i:06}" for i in range(len(ids))]
    for path, part in ((board.public, slice(images[0])), (board.hidden, slice(images[0], None))):
        _write(path / "test_concepts.csv", ("ID", "CUIs"), list(zip(ids[part], cells[part], strict=True)))
    rows = []
    for i in range(uploads):
        number, team = divmod(i, len(TEAMS))
        name = TEAMS[team]
        # Each run is right for other shares of the images of both truths, so that ranks change between them.
        right = (0.2 + 0.05 * ((team * 5 + number) % 13), 0.2 + 0.05 * ((team * 7 + 3 * number) % 13))
        is_right = [k < right[0] * images[0] for k in range(images[0])]
        is_right += [k < right[1] * images[1] for k in range(images[1])]
        answers = [cell if hit else "C0999999" for cell, hit in zip(cells, is_right, strict=True)]
        file = f"upload-of-{i:02}.csv"
        if name == HOSTILE and number == 0:
            file = f"upload-of-{i:02}.zip"
            (board.uploads / file).write_bytes(_trap())
        else:
            _write(board.uploads / file, ("ID", "CUIs"), list(zip(ids, answers, strict=True)))
        day = 1 + i % 28
        late = i == len(TEAMS) + 2
        time = "2026-06-01T00:00:00Z" if late else f"2026-05-{day:02}T{number:02}:30:00Z"
        status = "baseline" if name == BASELINE else "withdrawn" if i == len(TEAMS) + 1 else ""
        rows.append((file, name, f"run {number + 1}", time, status))
    _write(board.mapping, ("file", "display_name", "run", "submitted_at", "status"), rows)
    board.rules.write_text(
        f'title = "A made board"\nedition = "rocov2"\ntasks = ["concepts"]\nsplit = "test"\n'
        f'hidden_split = "test"\nmetrics = ["concept_f1"]\ndeadline = {DEADLINE}\nmost_runs = 4\n',
        encoding="utf-8",
    )
    return board


def codabench_names(board: MadeBoard, folder: Path) -> None:
    """Write the same uploads as Codabench names them, with its table of submissions."""
    folder.mkdir()
    with board.mapping.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = []
    for number, row in enumerate(rows, start=500_001):
        content = (board.uploads / row["file"]).read_bytes()
        owner = f"user_{TEAMS.index(row['display_name']):02}"
        name = f"{number}_{owner}_PhaseId77_2026-05-01_30-00_submission.zip"
        (folder / name).write_bytes(content if row["file"].endswith(".zip") else zipped("run.csv", content))
        time = row["submitted_at"].replace("Z", ".123456Z")
        table.append((str(number), "submission.zip", owner, time, "Finished", "Test"))
    header = ("Submission ID", "File Name", "Owner", "Created When", "Status", "Phase")
    _write(folder / "submissions.csv", header, table)


def zipped(name: str, content: bytes) -> bytes:
    """Return an archive with one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def _trap() -> bytes:
    """Return an archive whose file would be written outside of the folder."""
    return zipped("../../escaped.csv", b"ID,CUIs\n")


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
