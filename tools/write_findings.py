"""Write docs/findings.md from `rocov2_eval.findings.RULES`, or check that the file on disk is current.

Usage: python tools/write_findings.py [--check] [--out FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from rocov2_eval.findings import MOST_PER_RULE, RULES, Rule

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = {
    "R0": "The file as a whole",
    "R1": "Rows and ids",
    "R2": "Concepts",
    "R3": "Captions",
    "R4": "The format check of 2026",
    "R5": "The truth",
    "R6": "Metadata",
}
INTRODUCTION = f"""\
<!-- Written by tools/write_findings.py from rocov2_eval/findings.py: change that file, then run the tool. -->

# Findings

A finding is a fault of a file, printed as `path:line: CODE message`. The line is the one where the record
starts, counted from 1. A finding about the whole file has no line. `rocov2-eval explain` lists all codes, and
`rocov2-eval explain CODE` prints one of them. [editions.md](editions.md) describes what each edition does
with them.

- **Error**: the run is not scored. [`score --lenient`](editions.md#what---lenient-does) accepts most errors.
- **Warning**: the run is scored. The message starts with `warning:`.
- **Note**: not a fault, but a fact that limits what a score means.
- The severities below are the usual ones. An edition may make an error a warning, or a warning an error.
- If a fault affects nearly all rows (90 %), one finding gives the number of rows and three examples.
  Consequences for single rows are not reported.
- At most {MOST_PER_RULE:,} findings of one rule and file are shown; the next line counts the others.
- R401 to R407 are checked by `validate --strict` only.
"""


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or compare it with what would be written; 1 if they differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs/findings.md")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    options = parser.parse_args(arguments)
    text = document(RULES)
    if not options.check:
        options.out.write_text(text, encoding="utf-8")
        return 0
    if options.out.is_file() and options.out.read_text(encoding="utf-8") == text:
        return 0
    print(f"{options.out}: stale; run python tools/write_findings.py", file=sys.stderr)
    return 1


def document(rules: Mapping[str, Rule]) -> str:
    """Return the page: each rule with its reason and its fix, in sections.

    Raises:
        KeyError: A rule belongs to no section.
    """
    by_section: dict[str, list[str]] = {title: [] for title in SECTIONS.values()}
    for code in sorted(rules):
        by_section[SECTIONS[code[:2]]].append(code)
    parts = [INTRODUCTION]
    for title, codes in by_section.items():
        parts.append(f"## {title}\n")
        parts += (_entry(code, rules[code]) for code in codes)
    return "\n".join(parts)


def _entry(code: str, rule: Rule) -> str:
    """Return one rule; the code alone is the heading, so that links to it outlive its wording."""
    return (
        f"### {code}\n\n**{_escaped(rule.title)}** ({rule.severity})\n\n"
        f"Why: {_escaped(rule.why)}\n\nFix: {_escaped(rule.fix)}\n"
    )


def _escaped(text: str) -> str:
    """Keep Markdown from reading marks into prose."""
    for mark in "|<*[":
        text = text.replace(mark, f"\\{mark}")
    return text


if __name__ == "__main__":
    sys.exit(main())
