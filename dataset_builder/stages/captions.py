"""Captions as plain text, and no caption that says nothing or says it in another language.

ROCOv2 removed links, captions in other languages and very short captions without relevant information; how
is not published. The limits below are ours. Of 6,834 captions of ROCO they drop 254 as not English: read one
by one, three of these are English or name nothing but a device. Of the captions kept at a probability below
0.5, read likewise, four are French. Five captions go for being a single word, such as `OPG.`; two words such
as `CT thorax.` already tell something.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from dataset_builder.records import OTHER_LANGUAGE, Drop, Figure, StageCount, kept_and_drops
from dataset_builder.stages.caption_text import clean
from dataset_builder.stages.stage import Context, Result, Stage, share_dropped
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.words import n_words, shorten

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

NAME = "captions"
EMPTY = "caption is empty"
NO_WORDS = "caption has no words"
TOO_SHORT = "caption is too short"
TOO_LONG = "caption is too long"
OTHER_SCRIPT = "caption is in another script"

ENGLISH = "en"
# English and the languages that captions of PMC are most often written in beside it.
LANGUAGES = (ENGLISH, "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "zh")


class CaptionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which captions stay.

    Attributes:
        min_words: Fewest words of a caption that stays. A word has a letter or a digit.
        max_words: Most words of a caption that stays.
        min_english: A caption goes whose probability of being English is smaller. The most probable language
            decides nothing: short English captions of medical terms often look like Latin, Spanish or French.
        non_latin: A caption goes whose share of letters in other scripts is larger; Greek letters count as
            Latin, because they name things.
        languages: Languages that a caption may be in, as two letters each; their probabilities add up to 1.
        without_links: Remove web and e-mail addresses.
    """

    min_words: Annotated[int, Meta(ge=1)] = 2
    max_words: int = 1000
    min_english: Annotated[float, Meta(ge=0, le=1)] = 0.05
    non_latin: Annotated[float, Meta(ge=0, le=1)] = 0.3
    languages: tuple[str, ...] = LANGUAGES
    without_links: bool = True

    def __post_init__(self) -> None:
        if self.min_words > self.max_words:
            raise UsageFault(f"max_words: {self.max_words}, expected at least min_words, {self.min_words}")
        if ENGLISH not in self.languages or len(set(self.languages)) < 2:  # noqa: PLR2004  English and another
            listed = shorten(", ".join(self.languages)) or "none"
            raise UsageFault(f"languages: {listed}, expected {ENGLISH!r} and at least one other")


def run(figures: Sequence[Figure], context: Context) -> Result:
    """Clean and judge every caption."""
    kept, drops = select(figures, context.tables["captions"])
    return Result(kept=kept, drops=drops)


def select(figures: Iterable[Figure], options: CaptionOptions) -> tuple[list[Figure], list[Drop]]:
    """Return the figures whose captions stay, with plain caption and probability of English, and the drops.

    Raises:
        MissingResource: py3langid is not installed.
        UsageFault: It does not know one of the languages.
    """
    return kept_and_drops(_judge(figure, options) for figure in figures)


def english_probability(text: str, languages: tuple[str, ...] = LANGUAGES) -> float:
    """Return the probability that a text is English rather than in another of the languages.

    Raises:
        MissingResource: py3langid is not installed.
        UsageFault: It does not know one of the languages.
    """
    return float(dict(_identifier(languages).rank(text))[ENGLISH])


def foreign_share(text: str) -> float:
    """Return the share of letters that are neither Latin nor Greek; 0 for a text without letters."""
    letters = [character for character in text if character.isalpha()]
    foreign = sum(not character.isascii() and not _is_western(character) for character in letters)
    return foreign / len(letters) if letters else 0.0


def _judge(figure: Figure, options: CaptionOptions) -> Figure | Drop:
    caption = clean(figure.text.caption, without_links=options.without_links)
    for reason, detail in _faults(caption, options):
        return Drop(stage=NAME, key=figure.key, reason=reason, detail=detail)
    english = english_probability(caption, options.languages)
    if english < options.min_english:
        detail = f"P(English) {english:.4f}, {n_words(caption)} words: {shorten(caption)}"
        return Drop(stage=NAME, key=figure.key, reason=OTHER_LANGUAGE, detail=detail, score=english)
    return replace(figure, text=replace(figure.text, caption=caption, english=english))


def _faults(caption: str, options: CaptionOptions) -> Iterator[tuple[str, str]]:
    """Yield reason and detail of what can be said against a plain caption without knowing its language."""
    if not any(map(str.isalpha, caption)):
        yield (NO_WORDS, shorten(caption)) if caption else (EMPTY, "")
    words = n_words(caption)
    if words < options.min_words:
        yield TOO_SHORT, f"{words} of at least {options.min_words} words: {shorten(caption)}"
    if words > options.max_words:
        yield TOO_LONG, f"{words:,} of at most {options.max_words:,} words: {shorten(caption)}"
    share = foreign_share(caption)
    if share > options.non_latin:
        yield OTHER_SCRIPT, f"{share:.0%} of the letters: {shorten(caption)}"


def _is_western(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("LATIN", "GREEK", "MICRO", "FEMININE", "MASCULINE"))


@lru_cache(maxsize=4)
def _identifier(languages: tuple[str, ...]) -> LanguageIdentifier:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        message = f"languages cannot be detected without py3langid: {install_command('builder')}"
        raise MissingResource(message) from None

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    unknown = [code for code in languages if code not in identifier.nb_classes]
    if unknown:
        raise UsageFault(f"languages: {shorten(unknown[0])!r} is unknown, expected codes such as 'de'")
    identifier.set_languages(list(languages))
    return identifier


def says(tables: Mapping[str, Any], count: StageCount) -> str:
    """Say what the stage did."""
    options: CaptionOptions = tables[NAME]
    english = f", or probability of English below {options.min_english:g}" if options.min_english else ""
    return (
        f"Captions were cleaned. Dropped: {share_dropped(count)}, for an empty caption, a length out of "
        f"bounds, another script{english}."
    )


STAGE = Stage(
    name=NAME,
    revision=1,
    title="caption cleaned and within the limits",
    tables=("captions",),
    takes=Figure,
    gives=Figure,
    run=run,
    says=says,
    libraries=("py3langid", "numpy"),
)
