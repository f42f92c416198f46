"""Write docs/findings.md from `rocov2_eval.findings.RULES`, or check that the file on disk is current.

Usage: python tools/write_findings.py [--check] [--out FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
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

`rocov2-eval validate` prints one line for each fault: `path:line: CODE message`. The line is the physical
line, counted from 1, where the record starts; a finding about the whole file has none. A warning has the word
`warning:` before its message. `rocov2-eval explain CODE` prints what stands below.

- What holds for nearly all rows (90 %) is one finding about the file.
  It has the number of rows and three of them. What follows from it for single rows is not told again.
- An **error** keeps the run from being scored; `score --lenient` scores in spite of most of them
  ([which ones](editions.md#what---lenient-does)). A **warning** keeps nothing from being scored.
  A **note** is no fault: it says what a score is worth.
- The severity in the table is the usual one. A finding may have the other one where the edition makes it
  harmless or fatal; the line says which it is.
- R401 to R407 are looked for by `validate --strict` only.
- Of one rule and file, {MOST_PER_RULE:,} findings are shown; one more counts the rest.

What each edition makes of these faults: [editions.md](editions.md).
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
    """Return the page: a table of all rules, then each with its reason and its fix.

    Raises:
        KeyError: A rule belongs to no section.
    """
    by_section: dict[str, list[str]] = {title: [] for title in SECTIONS.values()}
    for code in sorted(rules):
        by_section[SECTIONS[code[:2]]].append(code)
    parts = [INTRODUCTION, "\n".join(_table(rules)) + "\n"]
    for title, codes in by_section.items():
        parts.append(f"## {title}\n")
        parts += (_entry(code, rules[code]) for code in codes)
    return "\n".join(parts)


def _table(rules: Mapping[str, Rule]) -> Iterator[str]:
    yield _row(["code", "severity", "what is wrong"])
    yield _row(["---"] * 3)
    for code in sorted(rules):
        yield _row([f"[{code}](#{code.lower()})", rules[code].severity, _escaped(rules[code].title)])


def _entry(code: str, rule: Rule) -> str:
    """Return one rule; the code alone is the heading, so that links to it outlive its wording."""
    return (
        f"### {code}\n\n**{_escaped(rule.title)}** ({rule.severity})\n\n"
        f"Why: {_escaped(rule.why)}\n\nFix: {_escaped(rule.fix)}\n"
    )


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    """Keep Markdown from reading marks into prose."""
    for mark in "|<*[":
        text = text.replace(mark, f"\\{mark}")
    return text


if __name__ == "__main__":
    sys.exit(main())
