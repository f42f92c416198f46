"""Figures that may be redistributed, decided figure by figure.

Every statement about a licence is brought to exact codes. A statement that says nothing decidable is passed
over; two that say different things drop the figure, because nobody but the publisher can tell which of them
holds. A figure that shows somebody else's work is not covered by the licence of its article.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from dataset_builder.licence_codes import LicenceCode, codes_in
from dataset_builder.records import Drop, Figure, LicenceSource, LicenceStatement, StageCount, kept_and_drops
from dataset_builder.stages.stage import Context, Result, Stage, share_dropped
from rocov2_eval.shelf.words import shorten

NAME = "licence"
NO_LICENCE = "no licence found"
SOURCES_DISAGREE = "licence sources disagree"
NOT_ALLOWED = "licence not allowed"
THIRD_PARTY = "third-party content"

_SOURCES: tuple[LicenceSource, ...] = get_args(LicenceSource)  # the strongest first
# Publishers waive the rights in the data of an article in the paragraph that puts its text under CC BY.
_WAIVER_SOURCES = frozenset({"license_ref", "license-link", "license-text"})
_ELSEWHERE = re.compile(
    r"""©
    | \(c\)\s*(?:19|20)\d\d
    | \bcopyright\W+(?:by\b|(?:19|20)\d\d|of\s+[A-Z])
    | \ball\s+rights\s+reserved\b
    | \b(?:by\s+)?courtesy\s+(?:of|from)\b
    | \b(?:image|photo|photograph|picture|figure)\s+(?:credits?|by\s+courtesy)\b
    | \b(?:re-?produced|re-?printed|re-?published|re-?drawn|adapted|modified|copied)\s+(?:\w+\s+){0,3}?from\b
    | \b(?:re-?produced|re-?printed|re-?published|re-?drawn|adapted|modified|copied|taken|used|shown)\b
      [^.;]{0,120}?\b(?:with|by)\s+(?:\w+\s+){0,3}?permission\b(?!\s+(?:of|from)\s+(?:\w+\s+){0,2}?PATIENT)
    | \b(?:with|by)\s+(?:\w+\s+){0,3}?permission\s+(?:of|from)\b(?!\s+(?:\w+\s+){0,2}?PATIENT)
    """.replace("PATIENT", "(?:patient|parent|famil|guardian|relative|participant|volunteer|subject)"),
    re.IGNORECASE | re.VERBOSE,
)


class LicenceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What passes the gate.

    Attributes:
        allow: Codes that pass, each exactly: `CC BY` lets neither `CC BY-ND` nor `CC BY-SA` through.
        third_party: What becomes of figures that show somebody else's work.
    """

    allow: Annotated[tuple[LicenceCode, ...], Meta(min_length=1)] = ("CC BY", "CC BY-NC")
    third_party: Literal["drop", "keep"] = "drop"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the statements about one licence come to.

    Attributes:
        code: One of `CODES`; None where the statements do not settle it.
        reason: `NO_LICENCE` or `SOURCES_DISAGREE` where they do not.
        detail: Which source says what.
    """

    code: str | None
    reason: str
    detail: str


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Decide the licence of every figure."""
    kept, drops = select(figures, context.tables["licence"])
    return Result(kept=kept, drops=drops)


def select(figures: Iterable[Figure], options: LicenceOptions) -> tuple[list[Figure], list[Drop]]:
    """Return the figures that may be redistributed, with their licence, and a drop for each other one."""
    return kept_and_drops(_judge(figure, options) for figure in figures)


def decide(statements: Sequence[LicenceStatement]) -> Verdict:
    """Return what the statements about one article or figure come to.

    The strongest source comes first in `detail`; but a weaker one that contradicts it leaves the matter open.
    """
    ordered = sorted(statements, key=lambda statement: _SOURCES.index(statement.source))
    claims = [(statement.source, codes_in(statement.text)) for statement in ordered]
    named = {code for _, codes in claims for code in codes}
    if len(named) > 1:
        claims = [
            (source, codes - {"CC0"} if source in _WAIVER_SOURCES else codes) for source, codes in claims
        ]
        named = {code for _, codes in claims for code in codes}
    says = [f"{source}: {' and '.join(sorted(codes))}" for source, codes in claims if codes]
    detail = "; ".join(dict.fromkeys(says))
    if len(named) == 1:
        return Verdict(code=named.pop(), reason="", detail=detail)
    if named:
        return Verdict(code=None, reason=SOURCES_DISAGREE, detail=detail)
    quoted = "; ".join(f"{statement.source}: {shorten(statement.text)}" for statement in ordered)
    return Verdict(code=None, reason=NO_LICENCE, detail=quoted)


def third_party_words(text: str) -> str | None:
    """Return the words of a text that credit somebody else with the picture, None where there are none."""
    match = _ELSEWHERE.search(text)
    return shorten(text[match.start() : match.start() + 80], 80) if match else None


def _judge(figure: Figure, options: LicenceOptions) -> Figure | Drop:
    """Return the figure with its licence, or why it is dropped."""
    own = decide(figure.licence.own)
    foreign = _third_party(figure, has_own_licence=own.code is not None)
    if foreign and options.third_party == "drop":
        return _drop(figure, THIRD_PARTY, foreign)
    if own.reason == SOURCES_DISAGREE:
        return _drop(figure, own.reason, f"the figure's own: {own.detail}")
    verdict = own if own.code else decide(figure.licence.article)
    if verdict.code is None:
        return _drop(figure, verdict.reason, verdict.detail)
    if verdict.code not in options.allow:
        return _drop(figure, NOT_ALLOWED, verdict.code)
    return replace(figure, licence=replace(figure.licence, code=verdict.code))


def _third_party(figure: Figure, *, has_own_licence: bool) -> str | None:
    """Return what shows that the figure is somebody else's work, None where nothing does.

    Whoever gives a figure a licence of its own may well state a copyright and a source beside it.
    """
    text = figure.text
    words = third_party_words(f"{text.caption} {text.attribution}")
    if words or has_own_licence:
        return words
    if text.permissions:
        return f"own permissions: {shorten(text.permissions, 80)}"
    return f"attribution: {shorten(text.attribution, 80)}" if text.attribution else None


def _drop(figure: Figure, reason: str, detail: str) -> Drop:
    return Drop(stage=NAME, key=figure.key, reason=reason, detail=detail)


def says(tables: Mapping[str, Any], count: StageCount) -> str:
    """Say what the stage did."""
    options: LicenceOptions = tables[NAME]
    third = "were left out" if options.third_party == "drop" else "were kept"
    return (
        f"Licences as the source states them, {' or '.join(options.allow)}: {share_dropped(count)} were "
        f"dropped. Figures that seem to be of somebody else {third}."
    )


STAGE = Stage(
    name=NAME,
    revision=1,
    title="licence allows redistribution",
    tables=("licence",),
    takes=Figure,
    gives=Figure,
    run=run,
    says=says,
)
