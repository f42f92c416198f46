"""Figures of real articles, from file to record, against pubmed_parser, and how much each of them finds.

pubmed_parser tells title, authors and year in a call of its own, which reads the file again; our records
always hold them. So it is measured with that call and without it.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from measure import SHARED, Ratio, machine, paired, table
from pubmed_parser import parse_pubmed_caption, parse_pubmed_xml

from dataset_builder.pmc.jats import read_article

HEADER = ["", "time", "figures/s", "figures", "with their file", "with a caption", "articles that fail"]
HEADER += ["our rate to theirs"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """File and caption of each figure, empty where there is none, and the articles that gave an error."""

    figures: Sequence[tuple[str, str]]
    failed: int


def main() -> None:
    """Print the ratio and what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    paths = real_articles()
    mine, other = ours(paths), theirs(paths)
    files = {name for name, _ in mine.figures}
    alone = paired(lambda: ours(paths), lambda: theirs(paths), repeats)
    both = paired(lambda: ours(paths), lambda: (theirs(paths), front_matter(paths)), repeats)
    name = f"pubmed_parser {version('pubmed_parser')}"
    print(machine())
    print(f"{len(paths)} real articles, {sum(path.stat().st_size for path in paths) / 1e6:.1f} MB of XML\n")
    rows = [
        row("rocov2-build", mine, files, both.ours),
        [*row(f"{name}, captions, title, authors", other, files, both.theirs), rate(both, mine, other)],
        [*row(f"{name}, captions alone", other, files, alone.theirs), rate(alone, mine, other)],
    ]
    rows[0].append("1")
    print(table(HEADER, rows))


def real_articles() -> list[Path]:
    """Return the files."""
    folder = SHARED / "jats"
    with (folder / "articles.csv").open(encoding="utf-8", newline="") as file:
        return [folder / row["file"] for row in csv.DictReader(file)]


def ours(paths: Sequence[Path]) -> Found:
    """Read the figures of the articles themselves, with licences, alternatives, title and authors beside."""
    figures = [
        (figure.graphic.name, figure.text.caption)
        for path in paths
        for figure in read_article(path.read_bytes(), str(path)).figures
    ]
    return Found(figures=figures, failed=0)


def theirs(paths: Sequence[Path]) -> Found:
    """Read all figures, those of reviews and translations too, as pubmed_parser offers."""
    figures: list[tuple[str, str]] = []
    failed = 0
    for path in paths:
        try:
            found = parse_pubmed_caption(str(path)) or []
        except (KeyError, UnboundLocalError):  # a figure without id; one without caption that comes first
            failed += 1
            continue
        figures += [(figure["graphic_ref"] or "", figure["fig_caption"] or "") for figure in found]
    return Found(figures=figures, failed=failed)


def front_matter(paths: Sequence[Path]) -> int:
    """Read title, authors and year, as pubmed_parser offers; return how many articles give them."""
    read = 0
    for path in paths:
        with contextlib.suppress(KeyError):  # an article without a year
            parse_pubmed_xml(str(path))
            read += 1
    return read


def row(name: str, found: Found, files: Collection[str], seconds: float) -> list[str]:
    """Return a line of the table, without the ratio."""
    counts = [
        len(found.figures),
        sum(file in files for file, _ in found.figures),
        sum(bool(caption) for _, caption in found.figures),
        found.failed,
    ]
    return [name, f"{seconds * 1000:.0f} ms", f"{len(found.figures) / seconds:,.0f}", *map(str, counts)]


def rate(timed: Ratio, mine: Found, other: Found) -> str:
    """Return our figures per second over theirs; articles that fail cost time and give no figures."""
    return f"{timed.ratio * len(mine.figures) / len(other.figures):.2f}x"


if __name__ == "__main__":
    main()
