"""What users read has one voice: the rules under Words in CONTRIBUTING.md, as far as a test can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from baselines.cli.app import app as baselines_app
from dataset_builder.cli.app import app as builder_app
from rocov2_eval.cli.app import app as eval_app

ROOT = Path(__file__).resolve().parents[2]
APPS = {"rocov2-eval": eval_app, "rocov2-build": builder_app, "rocov2-baselines": baselines_app}
PACKAGES = ("rocov2_eval", "dataset_builder", "baselines")
BANNED = (
    r"says nothing",
    r"(?:is|are) told\b",
    r"stands? (?:in|twice|on line|for no) ",
    r"hand(?:ed)? (?:it|in|on|over)\b",
    r"bring (?:it|the file|intact|those|them)\b",
    r"say (?:--|\w+ = )",
    r"(?:goes|do not go|does not go) with\b",
    r"goes on from",
    r"; else (?:all|both|known|none|one|that|the)\b",
    r"no(?:body| one) knows",
    r"in spite of",
    r"\bas asked\b",
    r"cut short",
    r"not ours",
    r"whatever\b",
)
# How help began that was no noun: with a verb, an article or a condition.
NO_NOUN = re.compile(
    r"(?:Apply|Break|Compare|Compute|Draw|Exit with|Go|Keep|Leave|Let|Make|Name so|Overrule|Put|Read|"
    r"Replace|Report|Score (?:what|against|N)|Take|Tell|Write|How|Else|Only|Where|Which|Whose|What|Without|"
    r"The|A|An)\b"
)


def options_of(command: click.Command, *words: str) -> Iterator[tuple[str, click.Option]]:
    """Yield every option below a command, with the words that lead to it."""
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in {"help", "version"}:
            yield " ".join((*words, *option.opts[:1])), option
    for name, below in getattr(command, "commands", {}).items():
        yield from options_of(below, *words, name)


def faults_of(text: str, *, has_default: bool) -> Iterator[str]:
    """Yield what is wrong with the help of an option."""
    sentence, mark, default = text.partition("  [default: ")
    if not re.match("[A-Z0-9]", sentence) or NO_NOUN.match(sentence):
        yield "begins with a noun"
    if not sentence.endswith("."):
        yield "is a sentence that ends with a full stop"
    if mark and (has_default or not default.endswith("]")):
        yield "has its default once, at its end"


@pytest.mark.parametrize("program", APPS)
def test_the_help_of_an_option_begins_with_a_noun_and_ends_with_its_default(program: str) -> None:
    found = [
        f"{words}: {fault}: {option.help}"
        for words, option in options_of(APPS[program], program)
        for fault in faults_of(option.help or "", has_default=bool(option.show_default))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["write a file.", "Take this split.", "Split of the truth", "Else both."])
def test_help_that_breaks_the_rules_is_noticed(text: str) -> None:
    assert list(faults_of(text, has_default=False))


def visible(source: str) -> Iterator[tuple[int, str]]:
    """Yield the strings of a source that are no documentation, each with its line."""
    tree = ast.parse(source)
    documented = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inner = {value for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (value.value if isinstance(value, ast.Constant) else "…" for value in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documented | inner
        ):
            yield node.lineno, node.value


def test_no_text_has_a_phrase_that_the_rules_replace() -> None:
    banned = re.compile("|".join(BANNED))
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if banned.search(re.sub(r'"\s+f?"', "", source := path.read_text(encoding="utf-8")))
        for line, text in visible(source)
        if banned.search(text)
    ]
    assert not found, "\n".join(found)


def test_no_page_has_a_phrase_that_the_rules_replace() -> None:
    banned = re.compile("|".join(BANNED))
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = [
        f"{page.relative_to(ROOT)}: {match[0]}"
        for page in pages
        for match in banned.finditer(" ".join(page.read_text(encoding="utf-8").split()))
    ]
    assert not found, "\n".join(found)
