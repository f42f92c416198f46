"""Values that travel between the stages: frozen, keyword-only, without the XML they come from.

`Figure` is nested by what fills it: the article (text, article, licence), the source (media), and the stages
(image, scores, concepts, assignment).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeVar

import msgspec

from dataset_builder.panels import Box, panel_name
from rocov2_eval.concept_extraction import Mention

SPLITS = ("train", "valid", "test")  # of a dataset in the layout of ROCOv2, in the order of its tables
PANELS = "panels"  # the unit of what came of figures that were split
OWN = "own:"  # begins the key of what is not from PMC, where a PMCID would stand
OTHER_LANGUAGE = "caption is not English"  # the reason of drops that a quality gate counts

Reason = Literal["type", "blacklist", "accuracy", "nested"]

LicenceSource = Literal[
    "table",
    "metadata",
    "file-list",
    "custom-meta",
    "license_ref",
    "license-href",
    "license-link",
    "license-text",
    "license-type",
    "copyright-statement",
    "self-uri",
]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What all records have in common: they never change, and `record_lines` writes and reads them."""


class LicenceStatement(Record, frozen=True, kw_only=True):
    """What one place says about a licence, word for word.

    Attributes:
        source: The place. `table` is the user's table of own images, `metadata` the licence code that PMC
            itself publishes for the article, `file-list` what the list of articles says; all else is in the
            XML: a custom-meta such as `pmc-license-ref`, the element `ali:license_ref`, then of `<license>`
            the attribute `xlink:href`, the links of the text, the text, and the attribute `license-type`; at
            last the copyright statement, and a self-uri that leads to a licence.
        text: A code, a URL or sentences.
    """

    source: LicenceSource
    text: str


class Media(Record, frozen=True, kw_only=True):
    """A file of an article.

    Attributes:
        key: Where the source has the file: a key below the bucket, or a path below the folder of the source.
        name: Name of the file without its folder: the last part of the key.
        md5: Digest of the file in hexadecimal, None where the source does not say it.
        frame: Which picture of a file with several, from 1; None for the first.
    """

    key: str
    name: str
    md5: str | None = None
    frame: int | None = None


class Entry(Record, frozen=True, kw_only=True):
    """An article as its source offers it, before anybody has read its text.

    Attributes:
        pmcid: PMCID of the article, `PMC` and digits; what `own_key` makes for what is not from PMC.
        xml: The file of the full text; None where the source itself knows the figures.
        media: Pictures and supplements of the article.
        version: Version of the article in PMC, from 1; None where the source does not tell it.
        licence: Licence code as the source spells it, None where it says nothing.
        figures: Figures that the source knows without a full text, with their files.
        drops: What the source knows to be no figure, and why.
        listed_licence: Licence code as the list of articles spells it, None where it says nothing.
    """

    pmcid: str
    xml: Media | None
    media: tuple[Media, ...]
    version: int | None = None
    licence: str | None = None
    figures: tuple[Figure, ...] = ()
    drops: tuple[Drop, ...] = ()
    listed_licence: str | None = None

    @property
    def key(self) -> str:
        """What `Drop.key` names."""
        return self.pmcid


class Graphic(Record, frozen=True, kw_only=True):
    """One picture of a figure.

    Attributes:
        name: Name of the file as the XML has it; old packages leave the extension away.
        index: Place among the pictures of the figure, from 1.
        alternatives: Other files of the same picture, such as thumbnails and print versions.
    """

    name: str
    index: int = 1
    alternatives: tuple[str, ...] = ()


class Panel(Record, frozen=True, kw_only=True):
    """A part of a picture that is a picture of its own.

    Attributes:
        box: Left, top, width and height in pixels of the picture of the figure, upright.
        index: Place among the panels of the picture, from 1, in the order of the caption's letters.
        of: Number of panels of the picture.
    """

    box: Box
    index: int
    of: int


class FigureText(Record, frozen=True, kw_only=True):
    """What the article says about a figure; the caption stage cleans the caption.

    Attributes:
        figure_id: The `id` attribute of the figure; empty where there is none.
        label: Label of the figure, such as `Figure 1`; empty where there is none.
        caption: Plain text without bibliography marks, and the attribution line; empty where there is none.
        english: Probability that the caption is English, in [0, 1]; None until the caption stage.
        attribution: The figure's own attribution line.
        permissions: Text of the figure's own permissions.
    """

    figure_id: str = ""
    label: str = ""
    caption: str = ""
    english: float | None = None
    attribution: str = ""
    permissions: str = ""


class ArticleFacts(Record, frozen=True, kw_only=True):
    """What a figure keeps of its article, to name its authors.

    Attributes:
        doi: DOI of the article without resolver; empty where there is none.
        title: Title of the article as plain text.
        authors: `Surname, Given names` each; groups under their name.
        article_type: Type of the article, such as `case-report`; empty where the XML does not tell it.
        year: Year of the earliest publication date, None where the XML does not tell it.
        version: Version of the article in PMC, from 1; None where the source does not tell it.
        credit: Whom to name, word for word, where the source says it; it goes before the authors.
    """

    doi: str = ""
    title: str = ""
    authors: tuple[str, ...] = ()
    credit: str = ""
    article_type: str = ""
    year: int | None = None
    version: int | None = None


class FigureLicence(Record, frozen=True, kw_only=True):
    """Under which licence a figure stands.

    Attributes:
        own: What the figure's own permissions say about its licence.
        article: What is said about the licence of the article.
        copyright: The copyright line of the figure, else of its article; empty where neither has one.
        code: The exact code, such as `CC BY`; empty until the licence stage has decided it.
    """

    own: tuple[LicenceStatement, ...] = ()
    article: tuple[LicenceStatement, ...] = ()
    copyright: str = ""
    code: str = ""


class ImageFacts(Record, frozen=True, kw_only=True):
    """What was seen when an image file was decoded, and what the image is recognised by.

    Attributes:
        sha256: SHA-256 of the file's bytes.
        pixels: SHA-256 of the decoded picture with its size, the same whatever the file format.
        perceptual: Perceptual hash of 64 bits; None for a picture too flat to be told from others.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
    """

    sha256: str
    pixels: str
    perceptual: int | None
    width: int
    height: int


class Scores(Record, frozen=True, kw_only=True):
    """What the image filters gave a figure.

    Attributes:
        compound: Score of the compound filter, in [0, 1]: 1 for several pictures in one; None until judged.
        radiology: Score of the radiology filter, in [0, 1]: 1 for a radiology image; None until judged.
    """

    compound: float | None = None
    radiology: float | None = None


class Removal(Record, frozen=True, kw_only=True):
    """A mention that is not kept.

    Attributes:
        mention: What stands in the caption.
        reason: The first of `concepts.extraction.REASONS` that holds.
    """

    mention: Mention
    reason: Reason


class Conflict(Record, frozen=True, kw_only=True):
    """A manual answer that does not go with what else is known of the image.

    Attributes:
        facet: Facet of the manual answer, such as `region`.
        manual: CUI of the manual answer.
        others: CUIs of automatic concepts that say otherwise, in order of mention; empty where it is the
            manual modality that does.
        resolved: Whether the weaker side was left out.
    """

    facet: str
    manual: str
    others: tuple[str, ...] = ()
    resolved: bool


class FigureConcepts(Record, frozen=True, kw_only=True):
    """The concepts of a figure, and what became of others.

    Attributes:
        manual: CUIs of modality, X-ray body region and direction, in this order.
        is_annotated: Whether people annotated the modality, be the answer one without a CUI.
        automatic: CUIs from the caption, in order of mention, without the manual ones.
        mentions: What the caption names, in order: where the automatic concepts come from.
        removed: Mentions that were not kept, and why.
        gave_way: CUIs of automatic concepts that gave way to manual ones.
        conflicts: Manual answers that do not go with what else is known.
        rare: CUIs of automatic concepts that too few images have.
    """

    manual: tuple[str, ...] = ()
    is_annotated: bool = False
    automatic: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()
    removed: tuple[Removal, ...] = ()
    gave_way: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    rare: tuple[str, ...] = ()

    @property
    def cuis(self) -> tuple[str, ...]:
        """All CUIs, the manual ones first."""
        return (*self.manual, *self.automatic)


class Assignment(Record, frozen=True, kw_only=True):
    """Where a figure is in the dataset.

    Attributes:
        split: One of `SPLITS`; empty until the split.
        image_id: Name of the image in the dataset; empty until the packaging.
    """

    split: str = ""
    image_id: str = ""


class Figure(Record, frozen=True, kw_only=True):
    """One graphic of a figure with all that later stages ask about it; an article is not needed any more.

    A figure with several graphics is several of these records: they differ in `graphic` and what comes of it.

    Attributes:
        pmcid: PMCID of the article, `PMC` and digits; what `own_key` makes for what is not from PMC; empty
            where nothing tells it. A split keeps together what has the same.
        number: Place of the figure in the article, from 1, in document order; the row in a table.
        graphic: The one picture of the figure that this record is about, with the names of its files.
        n_graphics: Number of pictures of the figure in the article; each has a record of its own.
        text: Label, caption, attribution and permissions of the figure.
        article: DOI, title, authors, type, year and version of the article that the figure is from.
        licence: What figure and article say about the licence, and the code that was decided.
        panel: The part of the graphic that this record is about; None for the whole of it.
        media: The file of the graphic at its source; None until it has been looked up there.
        image: Digests, hash and size of the picture; None until the images stage has decoded the file.
        scores: Scores that the image filters gave the figure.
        concepts: Concepts of the figure, none until the concept stage.
        duplicate_articles: Articles with a figure that was left out because this one shows the same.
        warnings: What the file says of itself that a person should look at, such as text burnt into it.
        assignment: Split and image id of the figure.
    """

    pmcid: str
    number: int
    graphic: Graphic
    n_graphics: int = 1
    text: FigureText = FigureText()
    article: ArticleFacts = ArticleFacts()
    licence: FigureLicence = FigureLicence()
    panel: Panel | None = None
    media: Media | None = None
    image: ImageFacts | None = None
    scores: Scores = Scores()
    concepts: FigureConcepts = FigureConcepts()
    duplicate_articles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    assignment: Assignment = Assignment()

    @property
    def file(self) -> str:
        """Name of the file as the article has it; of a panel, with its place in the picture."""
        return panel_name(self.graphic.name, self.panel.box) if self.panel else self.graphic.name

    @property
    def key(self) -> str:
        """PMCID and file name: what `Drop.key` names."""
        return f"{self.pmcid}/{self.file}"

    @property
    def whole(self) -> str:
        """The key of the figure that a panel is of; its own for a figure that is no panel."""
        return f"{self.pmcid}/{self.graphic.name}"

    @property
    def place(self) -> tuple[int, str, int, int, str, int]:
        """What figures are sorted by: articles by number, then the place in the article."""
        digits = self.pmcid.removeprefix("PMC")
        number = int(digits) if digits.isascii() and digits.isdigit() else 0
        panel = self.panel.index if self.panel else 0
        return number, self.pmcid, self.number, self.graphic.index, self.graphic.name, panel

    @property
    def public_pmcid(self) -> str:
        """The PMCID; empty for what is not from PMC, whose names may tell a patient."""
        return "" if self.pmcid.startswith(OWN) else self.pmcid


class Drop(Record, frozen=True, kw_only=True):
    """Something that a stage left out.

    Attributes:
        stage: Name of the stage that left it out.
        key: PMCID and file name, or what is known of them.
        reason: One word or a few, the same for all drops of a kind, so that they can be counted.
        detail: What was found in this one.
        score: Score of the filter that decided; None where no score did.
    """

    stage: str
    key: str
    reason: str
    detail: str = ""
    score: float | None = None


class StageCount(Record, frozen=True, kw_only=True):
    """What went into a stage and what became of it: `taken == kept + sum of dropped`.

    Attributes:
        stage: Name of the stage.
        title: What the stage does, for people.
        unit: What it counts, such as `articles`.
        taken: Number of things that went in.
        kept: Number of things that went on.
        dropped: Reason and number, the most frequent first.
    """

    stage: str
    title: str
    unit: str
    taken: int
    kept: int
    dropped: tuple[tuple[str, int], ...]


Kept = TypeVar("Kept")


def own_key(name: str) -> str:
    """Return what stands for the PMCID of an article or group of the user's own: it holds no `/`."""
    return OWN + name.replace("%", "%25").replace("/", "%2F")


def kept_and_drops(outcomes: Iterable[Kept | Drop]) -> tuple[list[Kept], list[Drop]]:
    """Return what stays and what was left out, both in their order."""
    kept: list[Kept] = []
    drops: list[Drop] = []
    for outcome in outcomes:
        if isinstance(outcome, Drop):
            drops.append(outcome)
        else:
            kept.append(outcome)
    return kept, drops
