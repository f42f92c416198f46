from __future__ import annotations

import re
from pathlib import Path

import pytest

import dataset_builder
import rocov2_eval
from rocov2_eval import findings as rules
from rocov2_eval.findings import RULES, explain, finding, findings, in_order, is_rejected
from rocov2_eval.shelf.words import short_id, shorten

SOURCES = [
    path
    for package in (rocov2_eval, dataset_builder)
    for path in Path(str(package.__file__)).parent.rglob("*.py")
    if path.name != "findings.py"
]
USED = {code for path in SOURCES for code in re.findall(r'"(R\d{3})"', path.read_text(encoding="utf-8"))}


def test_every_code_in_the_source_has_its_rule_and_every_rule_is_used() -> None:
    assert sorted(RULES) == sorted(USED)


@pytest.mark.parametrize("code", RULES)
def test_every_rule_says_what_is_wrong_why_and_what_to_do(code: str) -> None:
    rule = RULES[code]

    assert all((rule.title, rule.why.endswith("."), rule.fix))


@pytest.mark.parametrize("code", RULES)
def test_the_explanation_of_a_rule_holds_its_parts(code: str) -> None:
    rule = RULES[code]
    expected = f"{code}  {rule.title} ({rule.severity})\n\nWhy: {rule.why}\n\nFix: {rule.fix}\n"

    assert expected == explain(code.lower())


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(KeyError):
        explain("R999")


def test_a_finding_has_the_severity_of_its_rule() -> None:
    expected = ("error", "warning")

    assert expected == tuple(finding(code, "a", 1, "m").severity for code in ("R101", "R106"))


def test_a_finding_may_be_given_another_severity() -> None:
    expected = "warning"

    assert expected == finding("R101", "a", 1, "m", severity="warning").severity


def test_findings_beyond_the_bound_are_counted_in_a_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_PER_RULE", 3)
    expected = [(0, "m"), (1, "m"), (2, "m"), (None, "2 more of the same: a blank line")]

    found = findings("R101", "a", ((line, "m") for line in range(5)))

    assert expected == [(item.line, item.message) for item in found]


def test_as_many_findings_as_the_bound_need_no_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_PER_RULE", 3)
    expected = 3

    assert expected == len(list(findings("R101", "a", ((line, "m") for line in range(3)))))


@pytest.mark.parametrize(
    ("codes", "expected"), [([], False), (["R106"], False), (["R106", "R101"], True), (["R101"], True)]
)
def test_an_error_rejects_and_a_warning_does_not(
    codes: list[str],
    expected: bool,  # noqa: FBT001
) -> None:
    assert expected is is_rejected(finding(code, "a", 1, "m") for code in codes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", "abc"),
        ("abcdefghij", "abcdefghij"),
        ("abcdefghijk", "abcdefghi…"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\nb", "a\\nb"),
        ("\u202e\u2028", "\\u202e\\u2…"),
        ("", ""),
    ],
)
def test_text_in_a_message_is_cut_and_has_no_control_character(text: str, expected: str) -> None:
    assert expected == shorten(text, 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("short", "short"), ("a" * 20 + "_0017", "aaaaa…_0017"), ("a" * 20 + "\n", "aaaaa…aaaa\\n")],
)
def test_an_id_is_cut_in_the_middle(text: str, expected: str) -> None:
    assert expected == short_id(text, 11)


def test_findings_of_a_rule_stand_together_and_their_count_comes_last() -> None:
    found = [finding("R103", "a", None, "more"), finding("R104", "a", 2, "x"), finding("R103", "a", 9, "z")]
    found.append(finding("R103", "a", 1, "y"))

    assert [item.message for item in in_order(found)] == ["y", "z", "more", "x"]
