"""Write which published score of which edition is computed, and how that is proved, into two pages.

Usage: python tools/write_columns.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rocov2_eval.editions import EDITIONS, Edition
from rocov2_eval.metrics import metric_of
from rocov2_eval.metrics.derived import DERIVED, parts
from rocov2_eval.models import KINDS, default_name
from rocov2_eval.records import Task

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "docs/editions.md", ROOT / "benchmarks/RESULTS.md")
START = "<!-- Written by tools/write_columns.py from the tables of the code: run it after a change. -->"
END = "<!-- End of what tools/write_columns.py wrote. -->"
TASKS: tuple[Task, ...] = ("concepts", "captions")
NAMES = {"concept_f1": "F1", "concept_f1_manual": "F1, secondary"}
PROOFS: Mapping[str, str] = {
    "concept_f1": "official evaluators on 6,834 images: 1e-14",
    "concept_f1_manual": "the same: 1e-14",
    "bleu": "NLTK 3.2.2: 1e-12",
    "rouge1": "rouge-score 0.1.2: 1e-14; `--verify`",
    "bertscore_f1": "bert-score 0.3.13, small encoder: 2e-7; `--verify`",
    "similarity": "medimageinsights 0.1.1, tiny model: 5e-6; the official image vectors are random",
    "bleurt": "bleurt-pytorch 0.0.1, tiny model, 203 real pairs: 8e-7; `--verify`",
    "umls_f1": "official class on 12 captions, with MedCAT 2: equal",
    "alignscore": "original code, tiny model: 5e-7; `--verify`",
    "overall": "nine published rows of 2025 and 2026: 1e-4",
    "relevance": "the same rows",
    "relevance_as_code": "its definition",
    "factuality": "the same rows",
    "bleu1": "pycocoevalcap 1.2: 1e-12",
    "bleu1_corpus": "pycocoevalcap 1.2: 1e-12",
    "cider": "pycocoevalcap 1.2: 1e-12",
    "clipscore": "CLIP of transformers, tiny model: 2e-6",
    "refclipscore": "the same: 2e-6",
}
LEGEND = """\
● computed. ◐ computed if the weights in the last column are on this machine. In brackets: published without
public code, so the score computed here is not official. ✗ not computed. Empty: not published that year.
"""


def main(arguments: list[str] | None = None) -> int:
    """Write the table into the pages, or check that they have it; 1 if one has not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    options = parser.parse_args(arguments)
    stale = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        current = _with_block(text, f"{START}\n\n{LEGEND}\n{table()}\n{END}")
        if text == current:
            continue
        if options.check:
            print(f"{page}: stale; run python tools/write_columns.py", file=sys.stderr)
            stale = 1
        else:
            page.write_text(current, encoding="utf-8")
    return stale


def table() -> str:
    """Return a row for each published score, a column for each edition of the challenge."""
    editions = [edition for edition in EDITIONS.values() if edition.name.startswith("imageclef-")]
    years = [edition.name.removeprefix("imageclef-") for edition in editions]
    lines = [_row(["score", *years, "name here", "compared with; what it needs, or why not computed"])]
    lines.append(_row(["---", *[":-:"] * len(years), "---", "---"]))
    lines += (_row(cells) for task in TASKS for cells in _rows(task, editions))
    return "\n".join(lines) + "\n"


def _rows(task: Task, editions: Sequence[Edition]) -> Iterator[list[str]]:
    """Yield a row for each score that any edition publishes, those of the latest one first."""
    outputs: dict[str, str] = {}
    for edition in reversed(editions):
        outputs = outputs | {
            name: output for name, output in edition.columns(task).items() if name not in outputs
        }
    for name, output in outputs.items():
        marks = [_mark(name, edition, task) for edition in editions]
        yield [NAMES.get(name, name), *marks, f"`{output}`", "; ".join([PROOFS[output], *_needs(output)])]
    if task == "captions":
        reasons = {name: why for edition in editions for name, why in edition.captions.excluded.items()}
        for name in [name for name in reasons if name not in outputs]:
            yield [name, *(_mark(name, edition, task) for edition in editions), "", reasons[name]]


def _mark(name: str, edition: Edition, task: Task) -> str:
    """Return what an edition makes of a published score."""
    if task == "captions" and name in edition.captions.excluded:
        return "✗"
    if name not in edition.columns(task):
        return ""
    output = edition.columns(task)[name]
    mark = "◐" if any(metric_of(part).load for part in parts(output) if part not in DERIVED) else "●"
    return f"({mark})" if name in edition.captions.extras else mark


def _needs(output: str) -> Iterator[str]:
    """Yield what the user has to bring."""
    if output in DERIVED:
        yield f"mean of {', '.join(f'`{member}`' for member in DERIVED[output].members)}"
        return
    names = [default_name(kind.name) or kind.title for kind in KINDS.values() if output in kind.outputs]
    if names:
        yield f"needs {' and '.join(names)}"


def _with_block(text: str, block: str) -> str:
    """Return a page with its block replaced.

    Raises:
        ValueError: The page has no place for it.
    """
    start, end = text.index(START), text.index(END) + len(END)
    return text[:start] + block + text[end:]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
