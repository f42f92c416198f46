"""Values that travel between the stages: frozen, keyword-only, without the XML they come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

from rocov2_eval.concept_extraction import Mention

SPLITS = ("train", "valid", "test")  # of a dataset in the layout of ROCOv2, in the order of its tables

Reason = Literal["type", "blacklist", "accuracy", "nested"]

LicenceSource = Literal[
    "metadata", "pmc-license-ref", "license_ref", "license-href", "license-link", "license-text"
]


@dataclass(frozen=True, kw_only=True)
class LicenceStatement:
    """What one place says about a licence, word for word.

    Attributes:
        source: `metadata` is the licence code that PMC itself publishes for the article; the others are
            places in the XML: the custom-meta `pmc-license-ref`, then within `<license>` the element
            `ali:license_ref`, the attribute `xlink:href`, the links of the text, and the text.
        text: A code, a URL or sentences.
    """

    source: LicenceSource
    text: str


@dataclass(frozen=True, kw_only=True)
class Media:
    """A file of an article.

    Attributes:
        key: Where the source has it: a key below the bucket, or a path below the folder of the source; in a
            package after `!/`.
        name: Last part of the key.
        md5: In hexadecimal, None where the source does not say.
    """

    key: str
    name: str
    md5: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An article as its source offers it, before anybody has read its text.

    Attributes:
        pmcid: `PMC` and digits.
        xml: The full text.
        media: Pictures and supplements.
        version: Of the article in PMC, from 1; None where the source does not tell it.
        licence: As the source spells it, None where it says nothing.
    """

    pmcid: str
    xml: Media
    media: tuple[Media, ...]
    version: int | None = None
    licence: str | None = None

    @property
    def key(self) -> str:
        """What `Drop.key` names."""
        return self.pmcid


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What was seen when the file of a figure was decoded.

    Attributes:
        sha256: Of the file's bytes.
        pixels: SHA-256 of the decoded picture with its size, the same whatever the file format.
        perceptual: 64 bits; None for a picture too flat to be told from others.
        width: Pixels.
        height: Pixels.
    """

    sha256: str
    pixels: str
    perceptual: int | None
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Removal:
    """A mention that is not kept.

    Attributes:
        mention: What stands in the caption.
        reason: The first of `concepts.extraction.REASONS` that holds.
    """

    mention: Mention
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A manual answer that does not go with what else is known of the image.

    Attributes:
        facet: Of the manual answer.
        manual: Its CUI.
        others: CUIs of automatic concepts that say otherwise, in order of mention; empty where it is the
            manual modality that does.
        resolved: Whether the weaker side was left out.
    """

    facet: str
    manual: str
    others: tuple[str, ...] = ()
    resolved: bool


@dataclass(frozen=True, kw_only=True)
class Graphic:
    """One picture of a figure.

    Attributes:
        name: Its file as the XML names it; old packages leave the extension away.
        index: Its place among the pictures of the figure, from 1.
        alternatives: Other files of the same picture, such as thumbnails and print versions.
        width: Pixels, where the XML tells them.
        height: Pixels, where the XML tells them.
    """

    name: str
    index: int = 1
    alternatives: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One graphic of a figure with all that later stages ask about it; an article is not needed any more.

    A figure with several graphics is several of these records, which share everything but `graphic`.

    Attributes:
        pmcid: `PMC` and digits; empty where neither the XML nor the caller tells it.
        number: Place of the figure in the article, from 1, in document order.
        figure_id: The `id` attribute; empty where there is none.
        label: Such as `Figure 1`; empty where there is none.
        caption: Plain text without bibliography marks, and the attribution line; empty where there is none.
        graphic: The picture.
        n_graphics: Pictures of the figure.
        references: Sentences or paragraphs of the article that cite the figure, where they were asked for.
        attribution: The figure's own attribution line.
        permissions: Text of the figure's own permissions.
        own_licences: What the figure's own permissions say about its licence.
        article_licences: What is said about the licence of the article.
        licence: The exact code, such as `CC BY`; empty until the licence gate has decided it.
        doi: Of the article.
        title: Of the article.
        authors: Of the article, as `Surname, Given names`.
        article_type: Of the article, such as `case-report`.
        year: Of the article.
        version: Of the article in PMC, from 1; None where the source does not tell it.
        media: The file of the graphic at its source; None until it has been looked up there.
        english: Probability that the caption is English, in [0, 1]; None until it has been judged.
        image: None until the file has been decoded.
        compound_score: Of the compound filter, in [0, 1]: 1 for several pictures in one; None until judged.
        radiology_score: Of the radiology filter, in [0, 1]: 1 for a radiology image; None until judged.
        concepts: CUIs, the manual ones first; empty until the concept stage.
        manual_concepts: CUIs of modality, X-ray body region and direction; empty until the concept stage.
        mentions: What the caption names, in order: where the automatic concepts come from.
        removed: Mentions that were not kept, and why.
        gave_way: CUIs of automatic concepts that gave way to manual ones.
        conflicts: Manual answers that do not go with what else is known.
        rare: CUIs of automatic concepts that too few images have.
        duplicate_articles: Articles with a figure that was left out because this one shows the same.
        split: Empty until the split.
        image_id: Empty until the packaging.
    """

    pmcid: str
    number: int
    graphic: Graphic
    figure_id: str = ""
    label: str = ""
    caption: str = ""
    n_graphics: int = 1
    references: tuple[str, ...] = ()
    attribution: str = ""
    permissions: str = ""
    own_licences: tuple[LicenceStatement, ...] = ()
    article_licences: tuple[LicenceStatement, ...] = ()
    licence: str = ""
    doi: str = ""
    title: str = ""
    authors: tuple[str, ...] = ()
    article_type: str = ""
    year: int | None = None
    version: int | None = None
    media: Media | None = None
    english: float | None = None
    image: ImageFacts | None = None
    compound_score: float | None = None
    radiology_score: float | None = None
    concepts: tuple[str, ...] = ()
    manual_concepts: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()
    removed: tuple[Removal, ...] = ()
    gave_way: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    rare: tuple[str, ...] = ()
    duplicate_articles: tuple[str, ...] = ()
    split: str = ""
    image_id: str = ""

    @property
    def key(self) -> str:
        """PMCID and file name: what `Drop.key` names."""
        return f"{self.pmcid}/{self.graphic.name}"

    @property
    def multi_graphic(self) -> bool:
        """Whether the figure consists of several pictures."""
        return self.n_graphics > 1


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Something that a stage left out.

    Attributes:
        stage: The stage that left it out.
        key: PMCID and file name, or what is known of them.
        reason: One word or a few, the same for all drops of a kind, so that they can be counted.
        detail: What was found in this one.
        score: What a filter gave it, where a filter decided.
    """

    stage: str
    key: str
    reason: str
    detail: str = ""
    score: float | None = None


Kept = TypeVar("Kept")


def parted(outcomes: Iterable[Kept | Drop]) -> tuple[list[Kept], list[Drop]]:
    """Return what stays and what was left out, both in their order."""
    kept: list[Kept] = []
    drops: list[Drop] = []
    for outcome in outcomes:
        if isinstance(outcome, Drop):
            drops.append(outcome)
        else:
            kept.append(outcome)
    return kept, drops


@dataclass(frozen=True, kw_only=True)
class StageCount:
    """What went into a stage and what became of it: `taken == kept + sum of dropped`.

    Attributes:
        stage: Its name.
        title: What it does, for people.
        unit: What it counts, such as `articles`.
        taken: Things that went in.
        kept: Things that went on.
        dropped: Reason and number, the most frequent first.
    """

    stage: str
    title: str
    unit: str
    taken: int
    kept: int
    dropped: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Article:
    """One article of PMC.

    Attributes:
        path: The file as the user named it.
        pmcid: `PMC` and digits; empty where neither the XML nor the caller tells it.
        version: Of the article in PMC, from 1; None where the XML does not tell it.
        pmid: Digits; empty where there is none.
        doi: Without resolver; empty where there is none.
        title: Plain text.
        authors: `Surname, Given names`; groups under their name.
        article_type: Such as `case-report`; empty where the XML does not tell it.
        year: Of the earliest publication date.
        copyright: The copyright statement.
        licences: What is said about its licence, the strongest source first.
        has_body: False where only the front matter was handed out, as happens with closed articles.
        figures: One record a graphic, in document order.
        drops: Figures and graphics that make no record.
    """

    path: str
    pmcid: str
    version: int | None
    pmid: str
    doi: str
    title: str
    authors: tuple[str, ...]
    article_type: str
    year: int | None
    copyright: str
    licences: tuple[LicenceStatement, ...]
    has_body: bool
    figures: tuple[Figure, ...]
    drops: tuple[Drop, ...]
