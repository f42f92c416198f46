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

from dataset_builder.licence_claims import Claim, claims_in
from dataset_builder.licence_codes import LicenceCode
from dataset_builder.records import Drop, Figure, LicenceSource, LicenceStatement, StageCount, kept_and_drops
from dataset_builder.stages.stage import Context, Result, Stage, share_dropped
from dataset_builder.stages.third_parties import copied_words, is_own_work, third_party_words
from rocov2_eval.shelf.words import shorten

NAME = "licence"
NO_LICENCE = "no licence found"
SOURCES_DISAGREE = "licence sources disagree"
NOT_ALLOWED = "licence not allowed"
THIRD_PARTY = "third-party content"
NOTHING_STATED = "no statement in the metadata or the XML"

_SOURCES: tuple[LicenceSource, ...] = get_args(LicenceSource)  # the strongest first
_XML = frozenset(_SOURCES) - {"table", "metadata", "file-list", "custom-meta"}
_ADDRESSES = frozenset({"license_ref", "license-href"})
# Publishers waive the rights in the data of an article in the paragraph that puts its text under CC BY.
_WAIVER = re.compile(
    r"(?:waive|dedicat|zero|cc\s?0|public\s+domain).{0,200}\bdata\b|\bdata\b.{0,200}(?:waive|dedicat|cc\s?0)",
    re.IGNORECASE,
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


def decide(of_article: Sequence[LicenceStatement], own: Sequence[LicenceStatement] = ()) -> Verdict:
    """Return what the statements about an article, and about one figure of it, come to.

    The strongest source comes first in `detail`; but a weaker one that contradicts it leaves the matter open.
    A figure's own licence must agree with the article's too: nobody can tell who may grant more than the
    article does, and who states less was overlooked by whoever stated the licence of the whole.
    """
    claims = [*_claims(own, "figure's "), *_claims(of_article)]
    named = {claim.says for _, claim in claims if claim.is_code}
    code = next(iter(named)) if len(named) == 1 else None
    if code and not any(claim.contradicts(code) for _, claim in claims):
        says = dict.fromkeys(f"{place}: {claim.says}" for place, claim in claims)
        return Verdict(code=code, reason="", detail="; ".join(says))
    if named:
        says = dict.fromkeys(f"{place}: {claim.says} ({claim.words!r})" for place, claim in claims)
        return Verdict(code=None, reason=SOURCES_DISAGREE, detail="; ".join(says))
    quoted = "; ".join(f"{each.source}: {shorten(each.text)}" for each in (*own, *_ordered(of_article)))
    return Verdict(code=None, reason=NO_LICENCE, detail=quoted or NOTHING_STATED)


def _claims(statements: Sequence[LicenceStatement], whose: str = "") -> list[tuple[str, Claim]]:
    """Return place and claim of all that statements say, the strongest source first."""
    claims = [
        (statement.source, claim)
        for statement in _ordered(statements)
        for claim in claims_in(statement.text, is_address=statement.source in _ADDRESSES)
    ]
    is_named = any(claim.is_code and claim.says != "CC0" for _, claim in claims)
    if is_named and any(_WAIVER.search(statement.text) for statement in statements):
        claims = [(source, each) for source, each in claims if source not in _XML or each.says != "CC0"]
    return [(f"{whose}{source}", claim) for source, claim in claims]


def _ordered(statements: Sequence[LicenceStatement]) -> list[LicenceStatement]:
    """Return statements by their source, the strongest first."""
    return sorted(statements, key=lambda statement: _SOURCES.index(statement.source))


def _judge(figure: Figure, options: LicenceOptions) -> Figure | Drop:
    """Return the figure with its licence, or why it is dropped."""
    has_own_licence = decide((), figure.licence.own).code is not None
    foreign = _third_party(figure, has_own_licence=has_own_licence)
    if foreign and options.third_party == "drop":
        return _drop(figure, THIRD_PARTY, foreign)
    verdict = decide(figure.licence.article, figure.licence.own)
    if verdict.code is None:
        return _drop(figure, verdict.reason, verdict.detail)
    if verdict.code not in options.allow:
        return _drop(figure, NOT_ALLOWED, f"{verdict.code}, stated by {verdict.detail}")
    return replace(figure, licence=replace(figure.licence, code=verdict.code))


def _third_party(figure: Figure, *, has_own_licence: bool) -> str | None:
    """Return what shows that the figure is somebody else's work, None where nothing does.

    Whoever gives a figure a licence of its own may well state a copyright and a source beside it.
    """
    text = figure.text
    words = third_party_words(f"{text.caption} {text.attribution}")
    if words or has_own_licence:
        return words or copied_words(text.permissions)
    if text.permissions:
        return f"own permissions: {shorten(text.permissions, 80)}"
    is_named = text.attribution and not is_own_work(text.attribution)
    return f"attribution: {shorten(text.attribution, 80)}" if is_named else None


def _drop(figure: Figure, reason: str, detail: str) -> Drop:
    return Drop(stage=NAME, key=figure.key, reason=reason, detail=detail)


def says(tables: Mapping[str, Any], count: StageCount) -> str:
    """Say what the stage did."""
    options: LicenceOptions = tables[NAME]
    is_dropped = options.third_party == "drop"
    return (
        f"Licences as stated by the source: {' or '.join(options.allow)}. Dropped for another licence"
        f"{' or third-party credits' * is_dropped}: {share_dropped(count)}."
        f"{'' if is_dropped else ' Figures with third-party credits were kept.'}"
    )


STAGE = Stage(
    name=NAME,
    revision=4,
    title="licence allowed",
    tables=("licence",),
    takes=Figure,
    gives=Figure,
    run=run,
    says=says,
)
