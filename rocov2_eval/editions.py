"""The editions of the challenge: one frozen row each, read off the official evaluators as executed.

`docs/editions.md` says in words what each field stands for and where we deviate on purpose.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten, suggestion

if TYPE_CHECKING:  # records imports numpy, and --help must not pay for it
    from rocov2_eval.records import Task

HeaderRule = Literal["none", "id_anywhere", "id_first", "optional"]
Delimiter = Literal[",", "\t", "|", ";", " "]
ExtraCells = Literal["error", "ignored"]
# Who chose an edition: the year that the ids name, nobody because they name none, or the user.
ChosenBy = Literal["ids", "default", "user"]

# The 14 manual CUIs that the organisers score since 2024: six modalities, then eight X-ray body regions.
# Names as in ROCOv2's cui_mapping.csv.
MODALITY_CUIS: Mapping[str, str] = {
    "C0040405": "X-Ray Computed Tomography",
    "C1306645": "Plain x-ray",
    "C0024485": "Magnetic Resonance Imaging",
    "C0041618": "Ultrasonography",
    "C0002978": "angiogram",
    "C0032743": "Positron-Emission Tomography",
}
REGION_CUIS: Mapping[str, str] = {
    "C0817096": "Chest",
    "C0023216": "Lower Extremity",
    "C0037303": "Bone structure of cranium",
    "C0000726": "Abdomen",
    "C1140618": "Upper Extremity",
    "C0037949": "Vertebral column",
    "C0030797": "Pelvis",
    "C0006141": "Breast",
}
# The X-ray directions are curated by hand too, but never scored by the secondary metric.
DIRECTION_CUIS: Mapping[str, str] = {
    "C1999039": "Anterior-Posterior",
    "C1996865": "Postero-Anterior",
    "C0205129": "Sagittal",
    "C0205106": "Transverse - anatomical location",
}
# Shown in the place of the canonical names, which are made for machines.
LABELS: Mapping[str, str] = {
    "C0040405": "CT",
    "C1306645": "X-ray",
    "C0024485": "MRI",
    "C0041618": "ultrasound",
    "C0002978": "angiography",
    "C0032743": "PET",
    "C0817096": "chest",
    "C0023216": "lower extremity",
    "C0037303": "cranium",
    "C0000726": "abdomen",
    "C1140618": "upper extremity",
    "C0037949": "spine",
    "C0030797": "pelvis",
    "C0006141": "breast",
    "C1999039": "anterior-posterior",
    "C1996865": "postero-anterior",
    "C0205129": "sagittal",
    "C0205106": "transverse",
}
OPTICAL_COHERENCE_TOMOGRAPHY = "C0920367"  # scored since the evaluator of 2025-02-13, absent from ROCOv2
SCORED_MANUAL_CUIS = (*MODALITY_CUIS, *REGION_CUIS)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a run file is cut into rows and cells.

    Attributes:
        delimiter: One character, `;` and a blank in files of other programs alone; `auto` is `|` where the
            first line has one, a tab otherwise (2023).
        quoted: Double quotes enclose cells; else they are characters like any other.
        header: `none`: every row is data. `id_anywhere`: each row with the capitals `ID` in its first cell is
            skipped, wherever it stands. `id_first`: the first row is the header and must start with `id` in
            any case. `optional`: the first row is a header if its first cell is `id` in any case.
    """

    delimiter: Delimiter | Literal["auto"]
    quoted: bool
    header: HeaderRule

    @property
    def skips_id_rows(self) -> bool:
        """Tell whether the reader skips rows whose id holds the capitals `ID`."""
        return self.header == "id_anywhere"


@dataclass(frozen=True, kw_only=True)
class ConceptRules:
    """Concept detection in one edition.

    Attributes:
        dialect: How a run is cut into cells, and a truth file that is not in the ROCOv2 layout.
        most: Largest number of concepts an image may have, None where no source of it is at hand.
        strip: Blanks around a concept are removed.
        empty_reference: `scored`: an empty truth cell is the one-element set of the empty string, so that
            only an empty run cell matches it. `unscored`: the image leaves the mean (2018).
        manual_cuis: The CUIs of the secondary score, none where the edition has no secondary score.
    """

    dialect: Dialect
    most: int | None
    strip: bool = True
    empty_reference: Literal["scored", "unscored"] = "scored"
    manual_cuis: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CaptionRules:
    """Caption prediction in one edition.

    Attributes:
        dialect: How a run is cut into cells, and a truth file that is not in the ROCOv2 layout.
        extra_cells: What becomes of cells after the second one, which an unquoted comma makes.
        norm: Key of `textnorm.NORMALISERS`.
        stem: BLEU compares words by their stems.
        idf: BERTScore weighs tokens by their idf over the normalised references.
        both_empty_crashes: A caption empty on both sides ends the official evaluation with an exception.
        empty_crashes: An empty candidate alone ends the official evaluation with an exception (AlignScore).
        empty_similarity: Similarity of an empty candidate; None where it is compared with the image like any
            other, and scores 1 where the reference is empty too (2025).
        columns: Name of each score that the edition publishes and that its public code defines, and the
            output that computes it here; the score that ranks comes first.
        extras: The same for scores that the edition publishes without public code: what is computed here for
            them is not official.
        excluded: Name of each published score that is not computed here, and why.
    """

    dialect: Dialect
    columns: Mapping[str, str]
    extras: Mapping[str, str] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    extra_cells: ExtraCells = "ignored"
    norm: str = "clef2023"
    stem: bool = False
    idf: bool = False
    both_empty_crashes: bool = True
    empty_crashes: bool = False
    empty_similarity: float | None = 0.0

    def publishes(self, output: str) -> bool:
        """Tell whether the edition publishes a score that an output stands for, officially or not."""
        return output in self.columns.values() or output in self.extras.values()


@dataclass(frozen=True, kw_only=True)
class Edition:
    """One edition, or our own profile `rocov2`.

    Attributes:
        name: Name of the edition, a value of `--edition`.
        source: The evaluator whose behaviour the row describes.
        concepts: Rules of concept detection.
        captions: Rules of caption prediction.
        precheck: `--strict` can apply the format check of 2026, which is made for comma-separated files.
        keys: Key of each output in the scores.json of the organisers, None for a score that the platform
            makes of others; empty where a bundle names its scores as we do.
    """

    name: str
    source: str
    concepts: ConceptRules
    captions: CaptionRules
    precheck: bool = False
    keys: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def year(self) -> str:
        """The year of the challenge, empty for a profile of our own."""
        return self.name.partition("imageclef-")[2]

    @property
    def has_evaluator(self) -> bool:
        """Tell whether the row describes an evaluator of its own year, not that of another."""
        return bool(self.year) and not self.source.startswith("no public evaluator")

    def columns(self, task: Task) -> Mapping[str, str]:
        """Return the output that stands for each published score of a task; the score that ranks is first."""
        if task == "captions":
            return {**self.captions.columns, **self.captions.extras}
        names = ("concept_f1", "concept_f1_manual") if self.concepts.manual_cuis else ("concept_f1",)
        return dict(zip(names, names, strict=True))

    def primary(self, task: Task) -> str:
        """Return the output that ranks the runs of a task."""
        return next(iter(self.columns(task).values()))

    def rules(self, task: Task) -> ConceptRules | CaptionRules:
        """Return the rules of a task."""
        return self.concepts if task == "concepts" else self.captions


_TAB = Dialect(delimiter="\t", quoted=False, header="none")
_BAR = Dialect(delimiter="|", quoted=False, header="none")
_BAR_OR_TAB = Dialect(delimiter="auto", quoted=False, header="id_anywhere")
_COMMA = Dialect(delimiter=",", quoted=True, header="id_anywhere")
_COMMA_HEADER = Dialect(delimiter=",", quoted=True, header="id_first")
_COMMA_OURS = Dialect(delimiter=",", quoted=True, header="optional")

_COLUMNS_2023 = {"BERTScore": "bertscore_f1", "ROUGE": "rouge1"}
_EXTRAS_2023 = {
    "BLEURT": "bleurt",
    "BLEU-1 (mean of images)": "bleu1",
    "BLEU-1 (corpus)": "bleu1_corpus",
    "CIDEr": "cider",
    "CLIPScore": "clipscore",
}
_METEOR = {"METEOR": "METEOR 1.5 is a Java program with paraphrase tables that this package does not contain"}
_EXCLUDED_2022 = _METEOR | {
    "CIDEr": "neither its code nor its list of words is public",
    "SPICE": "it needs Java 8 and parser models of CoreNLP 3.6, downloaded at run time",
    "BERTScore": "neither its code nor its encoder is public",
}
_EXCLUDED_2024 = _METEOR | {
    "ClinicalBLEURT": "its TensorFlow checkpoint, trained on proprietary notes, must be converted by hand",
    "MedBERTScore": "it needs MedCAT 1 and a model pack of UMLS that may not be redistributed",
}
_COLUMNS_2026 = {
    "Overall": "overall",
    "Relevance": "relevance",
    "Factuality": "factuality",
    "BERTScore": "bertscore_f1",
    "ROUGE": "rouge1",
    "Similarity": "similarity",
    "BLEURT": "bleurt",
    "MedCAT F1": "umls_f1",
    "AlignScore": "alignscore",
}
# The public code of 2025 leaves BLEURT out of Relevance, the published board does not.
_COLUMNS_2025 = _COLUMNS_2026 | {"Relevance by the public code": "relevance_as_code"}
_KEYS_2026 = {
    "concept_f1": "score",
    "concept_f1_manual": "score_secondary",
    "overall": None,
    "relevance": "score",
    "factuality": "score_secondary",
    "bertscore_f1": "bert",
    "rouge1": "rouge",
    "similarity": "similarity",
    "bleurt": "bleurt",
    "umls_f1": "medcat",
    "alignscore": "align",
}

_MANUAL_2025 = (*SCORED_MANUAL_CUIS, OPTICAL_COHERENCE_TOMOGRAPHY)
_CAPTIONS_2017 = CaptionRules(
    dialect=_TAB, norm="clef2017", stem=True, both_empty_crashes=False, columns={"BLEU": "bleu"}
)
_CAPTIONS_2026 = CaptionRules(dialect=_COMMA_HEADER, idf=True, empty_crashes=True, columns=_COLUMNS_2026)

EDITIONS: Mapping[str, Edition] = {
    "rocov2": Edition(
        name="rocov2",
        source="ROCOv2 release, scored as in 2024 by this toolkit's own reader",
        concepts=ConceptRules(dialect=_COMMA_OURS, most=100, manual_cuis=SCORED_MANUAL_CUIS),
        captions=CaptionRules(
            dialect=_COMMA_OURS,
            extra_cells="error",
            both_empty_crashes=False,
            columns=_COLUMNS_2023 | {"MedCAT F1": "umls_f1"},
        ),
        precheck=True,
    ),
    "imageclef-2017": Edition(
        name="imageclef-2017",
        source="no public evaluator; read as crowdAI/CLEF_evaluators_2018@0ddc7b5",
        concepts=ConceptRules(dialect=_TAB, most=None, strip=False, empty_reference="unscored"),
        captions=_CAPTIONS_2017,
    ),
    "imageclef-2018": Edition(
        name="imageclef-2018",
        source="crowdAI/CLEF_evaluators_2018@0ddc7b5",
        concepts=ConceptRules(dialect=_TAB, most=1286, strip=False, empty_reference="unscored"),
        captions=_CAPTIONS_2017,
    ),
    "imageclef-2021": Edition(
        name="imageclef-2021",
        source="no public evaluator; read as crowdAI/CLEF_evaluators_2018@0ddc7b5",
        concepts=ConceptRules(dialect=_TAB, most=None, strip=False, empty_reference="unscored"),
        captions=_CAPTIONS_2017,
    ),
    "imageclef-2022": Edition(
        name="imageclef-2022",
        source="AIcrowd package in karthik-d/ImageCLEFmedical-captioning-2023@8d5779d",
        concepts=ConceptRules(dialect=_BAR, most=100),
        captions=CaptionRules(
            dialect=_BAR,
            norm="clef2017",
            both_empty_crashes=False,
            columns={"BLEU": "bleu", "ROUGE": "rouge1"},
            excluded=_EXCLUDED_2022,
        ),
    ),
    "imageclef-2023": Edition(
        name="imageclef-2023",
        source="TiagoFilipeSousaGoncalves/ImageCLEFmedical2023VCMI@d8fa3f1",
        concepts=ConceptRules(dialect=_BAR_OR_TAB, most=100),
        captions=CaptionRules(
            dialect=_BAR_OR_TAB, columns=_COLUMNS_2023, extras=_EXTRAS_2023, excluded=_METEOR
        ),
    ),
    "imageclef-2024": Edition(
        name="imageclef-2024",
        source="taubsity/clef-caption-evaluation@3a2a5ec",
        concepts=ConceptRules(dialect=_COMMA, most=100, manual_cuis=SCORED_MANUAL_CUIS),
        captions=CaptionRules(
            dialect=_COMMA,
            columns=_COLUMNS_2023,
            extras=_EXTRAS_2023 | {"RefCLIPScore": "refclipscore"},
            excluded=_EXCLUDED_2024,
        ),
        precheck=True,
    ),
    "imageclef-2025": Edition(
        name="imageclef-2025",
        source="taubsity/clef-caption-evaluation@ce13086",
        concepts=ConceptRules(dialect=_COMMA, most=100, manual_cuis=_MANUAL_2025),
        captions=replace(_CAPTIONS_2026, columns=_COLUMNS_2025, empty_similarity=None),
        precheck=True,
    ),
    "imageclef-2026": Edition(
        name="imageclef-2026",
        source="taubsity/clef-caption-evaluation-2026@9966c13",
        concepts=ConceptRules(dialect=_COMMA, most=100, manual_cuis=_MANUAL_2025),
        captions=_CAPTIONS_2026,
        precheck=True,
        keys=_KEYS_2026,
    ),
}
DEFAULT_EDITION = "rocov2"
AUTO = "auto"  # the edition of the year that the ids name, else the default
# What --edition takes: names, and years for those of the challenge.
ALIASES: Mapping[str, str] = {name: name for name in EDITIONS} | {
    edition.year: name for name, edition in EDITIONS.items() if edition.year
}
_WITHOUT_RULES = ("2019", "2020")
_YEAR = re.compile("ImageCLEFmedical_Caption_([0-9]{4})_", re.IGNORECASE)


def edition_of(name: str) -> Edition:
    """Return the edition of a name or a year.

    >>> edition_of("2026").name
    'imageclef-2026'

    Raises:
        UsageFault: There is none of that name.
    """
    name = str(name)  # a year may come as a number
    known = name.strip().lower()
    if known in ALIASES:
        return EDITIONS[ALIASES[known]]
    year = known.removeprefix("imageclef-")
    if year in _WITHOUT_RULES:
        raise UsageFault(
            f"no edition {shorten(name)!r}: that year had only concept detection, and its evaluator was "
            "not found. A later copy computes the F1 of 2018: use 2018, whose limit of concepts "
            "differs"
        )
    years = [edition.year for edition in EDITIONS.values() if edition.year]
    if year.isdecimal():
        raise UsageFault(
            f"no edition {shorten(name)!r}, expected one of {DEFAULT_EDITION}, {', '.join(years)}"
        )
    names = [AUTO, DEFAULT_EDITION, *years, *EDITIONS] if "clef" in known else [AUTO, DEFAULT_EDITION, *years]
    raise UsageFault(f"no edition {shorten(name)!r}; {suggestion(known, names)}")


def years_of(image_ids: Iterable[str]) -> Counter[str]:
    """Return how many ids name which year of the challenge; ids that name none are not counted."""
    named = (image_id for image_id in image_ids if "clef" in image_id.lower())  # ten times as fast
    matches = map(_YEAR.search, named)
    return Counter(match[1] for match in matches if match)


def edition_by_ids(image_ids: Iterable[str]) -> tuple[Edition, ChosenBy]:
    """Return the edition of the one year that ids name, where its rules are known; else the default."""
    years = [ALIASES[year] for year in years_of(image_ids) if year in ALIASES]
    return (EDITIONS[years[0]], "ids") if len(years) == 1 else (EDITIONS[DEFAULT_EDITION], "default")
