"""The editions of the challenge: one frozen row each, read off the official evaluators as executed.

`docs/editions.md` says in words what each field stands for and where we deviate on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rocov2_eval.errors import UsageFault

HeaderRule = Literal["none", "id_anywhere", "id_first", "optional"]
ExtraCells = Literal["error", "ignored"]

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
        delimiter: One character; `auto` is `|` where the first line has one, a tab otherwise (2023).
        quoted: Double quotes enclose cells; else they are characters like any other.
        header: `none`: every row is data. `id_anywhere`: each row with the capitals `ID` in its first cell is
            skipped, wherever it stands. `id_first`: the first row is the header and must start with `id` in
            any case. `optional`: the first row is a header if its first cell is `id` in any case.
    """

    delimiter: Literal[",", "\t", "|", "auto"]
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
        most: Largest number of concepts an image may have.
        strip: Blanks around a concept are removed.
        empty_reference: `scored`: an empty truth cell is the one-element set of the empty string, so that
            only an empty run cell matches it. `unscored`: the image leaves the mean (2018).
        manual_cuis: The CUIs of the secondary score, none where the edition has no secondary score.
    """

    dialect: Dialect
    most: int
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
        idf: BERTScore weighs tokens by their idf over the normalised references.
        both_empty_crashes: A caption empty on both sides ends the official evaluation with an exception.
        empty_crashes: An empty candidate alone ends the official evaluation with an exception (AlignScore).
        umls_f1: The edition has a MedCAT F1, which `umls_f1` computes where a model pack is named.
        not_computed: Names of the edition's metrics that this toolkit does not compute unasked.
    """

    dialect: Dialect
    extra_cells: ExtraCells = "ignored"
    norm: str = "clef2023"
    idf: bool = False
    both_empty_crashes: bool = True
    empty_crashes: bool = False
    umls_f1: bool = False
    not_computed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Edition:
    """One edition, or our own profile `rocov2`.

    Attributes:
        name: Name of the edition, a value of `--edition`.
        source: The evaluator whose behaviour the row describes.
        concepts: Rules of concept detection.
        captions: Rules of caption prediction, None where the edition scores captions by BLEU.
        precheck: `--strict` can apply the format check of 2026, which is made for comma-separated files.
    """

    name: str
    source: str
    concepts: ConceptRules
    captions: CaptionRules | None
    precheck: bool = False


_TAB = Dialect(delimiter="\t", quoted=False, header="none")
_BAR = Dialect(delimiter="|", quoted=False, header="none")
_BAR_OR_TAB = Dialect(delimiter="auto", quoted=False, header="id_anywhere")
_COMMA = Dialect(delimiter=",", quoted=True, header="id_anywhere")
_COMMA_HEADER = Dialect(delimiter=",", quoted=True, header="id_first")
_COMMA_OURS = Dialect(delimiter=",", quoted=True, header="optional")

_EXTRAS_2023 = ("BLEURT", "BLEU-1", "METEOR", "CIDEr", "CLIPScore")
_EXTRAS_2024 = (*_EXTRAS_2023, "RefCLIPScore", "ClinicalBLEURT", "MedBERTScore")
MEDCAT_F1 = "MedCAT F1"  # the one that is computed on request
_EXTRAS_2025 = ("Similarity", "BLEURT", MEDCAT_F1, "AlignScore", "Relevance", "Factuality", "Overall")

_MANUAL_2025 = (*SCORED_MANUAL_CUIS, OPTICAL_COHERENCE_TOMOGRAPHY)
_CAPTIONS_2025 = CaptionRules(
    dialect=_COMMA_HEADER, idf=True, empty_crashes=True, umls_f1=True, not_computed=_EXTRAS_2025
)

EDITIONS: Mapping[str, Edition] = {
    "rocov2": Edition(
        name="rocov2",
        source="ROCOv2 release, scored as in 2024 by this toolkit's own reader",
        concepts=ConceptRules(dialect=_COMMA_OURS, most=100, manual_cuis=SCORED_MANUAL_CUIS),
        captions=CaptionRules(
            dialect=_COMMA_OURS, extra_cells="error", both_empty_crashes=False, umls_f1=True
        ),
        precheck=True,
    ),
    "imageclef-2018": Edition(
        name="imageclef-2018",
        source="crowdAI/CLEF_evaluators_2018@0ddc7b5",
        concepts=ConceptRules(dialect=_TAB, most=1286, strip=False, empty_reference="unscored"),
        captions=None,
    ),
    "imageclef-2022": Edition(
        name="imageclef-2022",
        source="AIcrowd package in karthik-d/ImageCLEFmedical-captioning-2023@8d5779d",
        concepts=ConceptRules(dialect=_BAR, most=100),
        captions=None,
    ),
    "imageclef-2023": Edition(
        name="imageclef-2023",
        source="TiagoFilipeSousaGoncalves/ImageCLEFmedical2023VCMI@d8fa3f1",
        concepts=ConceptRules(dialect=_BAR_OR_TAB, most=100),
        captions=CaptionRules(dialect=_BAR_OR_TAB, not_computed=_EXTRAS_2023),
    ),
    "imageclef-2024": Edition(
        name="imageclef-2024",
        source="taubsity/clef-caption-evaluation@3a2a5ec",
        concepts=ConceptRules(dialect=_COMMA, most=100, manual_cuis=SCORED_MANUAL_CUIS),
        captions=CaptionRules(dialect=_COMMA, not_computed=_EXTRAS_2024),
        precheck=True,
    ),
    "imageclef-2025": Edition(
        name="imageclef-2025",
        source="taubsity/clef-caption-evaluation@ce13086",
        concepts=ConceptRules(dialect=_COMMA, most=100, manual_cuis=_MANUAL_2025),
        captions=_CAPTIONS_2025,
        precheck=True,
    ),
    "imageclef-2026": Edition(
        name="imageclef-2026",
        source="taubsity/clef-caption-evaluation-2026@9966c13",
        concepts=ConceptRules(dialect=_COMMA, most=100, manual_cuis=_MANUAL_2025),
        captions=_CAPTIONS_2025,
        precheck=True,
    ),
}
DEFAULT_EDITION = "rocov2"


def caption_rules(edition: Edition) -> CaptionRules:
    """Return the caption rules of an edition.

    Raises:
        UsageFault: The edition scores captions by BLEU.
    """
    if edition.captions is None:
        offered = ", ".join(name for name, other in EDITIONS.items() if other.captions)
        raise UsageFault(
            f"{edition.name} scores captions by BLEU, which this toolkit does not compute; "
            f"editions with BERTScore and ROUGE: {offered}"
        )
    return edition.captions
