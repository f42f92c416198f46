"""The semantic types of UMLS, which of them can be seen in an image, and what leaving out the others costs.

Source: the UMLS Semantic Network (127 types) and the semantic groups of McCray, Burgun and Bodenreider
(2001). The list that ROCOv2 kept is not published in full; `DEFAULT_TYPES` is ours.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rocov2_eval.concept_extraction import Mention
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten

DEFAULT = "default"
ALL = "all"
_TUI = re.compile(r"T\d{3}")
_SHOWN_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class SemanticType:
    """A semantic type.

    Attributes:
        tui: Its identifier, such as `T023`.
        name: In the Semantic Network.
        group: Semantic group, such as `ANAT`.
    """

    tui: str
    name: str
    group: str


@dataclass(frozen=True, kw_only=True)
class RemovedType:
    """What the filter took out of one semantic type.

    Attributes:
        tui: The type; empty for concepts whose type the model pack does not tell.
        name: Its name; empty where it is not known.
        mentions: Number of mentions.
        concepts: Number of distinct concepts.
        examples: Names of the most frequent of them, with the number of mentions.
    """

    tui: str
    name: str
    mentions: int
    concepts: int
    examples: tuple[tuple[str, int], ...]


GROUPS: Mapping[str, str] = {
    "ACTI": "Activities & Behaviors",
    "ANAT": "Anatomy",
    "CHEM": "Chemicals & Drugs",
    "CONC": "Concepts & Ideas",
    "DEVI": "Devices",
    "DISO": "Disorders",
    "GENE": "Genes & Molecular Sequences",
    "GEOG": "Geographic Areas",
    "LIVB": "Living Beings",
    "OBJC": "Objects",
    "OCCU": "Occupations",
    "ORGA": "Organizations",
    "PHEN": "Phenomena",
    "PHYS": "Physiology",
    "PROC": "Procedures",
}

_NAMES: Mapping[str, Mapping[str, str]] = {
    "ACTI": {
        "T051": "Event",
        "T052": "Activity",
        "T053": "Behavior",
        "T054": "Social Behavior",
        "T055": "Individual Behavior",
        "T056": "Daily or Recreational Activity",
        "T057": "Occupational Activity",
        "T064": "Governmental or Regulatory Activity",
        "T066": "Machine Activity",
    },
    "ANAT": {
        "T017": "Anatomical Structure",
        "T018": "Embryonic Structure",
        "T021": "Fully Formed Anatomical Structure",
        "T022": "Body System",
        "T023": "Body Part, Organ, or Organ Component",
        "T024": "Tissue",
        "T025": "Cell",
        "T026": "Cell Component",
        "T029": "Body Location or Region",
        "T030": "Body Space or Junction",
        "T031": "Body Substance",
    },
    "CHEM": {
        "T103": "Chemical",
        "T104": "Chemical Viewed Structurally",
        "T109": "Organic Chemical",
        "T114": "Nucleic Acid, Nucleoside, or Nucleotide",
        "T116": "Amino Acid, Peptide, or Protein",
        "T120": "Chemical Viewed Functionally",
        "T121": "Pharmacologic Substance",
        "T122": "Biomedical or Dental Material",
        "T123": "Biologically Active Substance",
        "T125": "Hormone",
        "T126": "Enzyme",
        "T127": "Vitamin",
        "T129": "Immunologic Factor",
        "T130": "Indicator, Reagent, or Diagnostic Aid",
        "T131": "Hazardous or Poisonous Substance",
        "T192": "Receptor",
        "T195": "Antibiotic",
        "T196": "Element, Ion, or Isotope",
        "T197": "Inorganic Chemical",
        "T200": "Clinical Drug",
    },
    "CONC": {
        "T077": "Conceptual Entity",
        "T078": "Idea or Concept",
        "T079": "Temporal Concept",
        "T080": "Qualitative Concept",
        "T081": "Quantitative Concept",
        "T082": "Spatial Concept",
        "T089": "Regulation or Law",
        "T102": "Group Attribute",
        "T169": "Functional Concept",
        "T170": "Intellectual Product",
        "T171": "Language",
        "T185": "Classification",
    },
    "DEVI": {
        "T074": "Medical Device",
        "T075": "Research Device",
        "T203": "Drug Delivery Device",
    },
    "DISO": {
        "T019": "Congenital Abnormality",
        "T020": "Acquired Abnormality",
        "T033": "Finding",
        "T037": "Injury or Poisoning",
        "T046": "Pathologic Function",
        "T047": "Disease or Syndrome",
        "T048": "Mental or Behavioral Dysfunction",
        "T049": "Cell or Molecular Dysfunction",
        "T050": "Experimental Model of Disease",
        "T184": "Sign or Symptom",
        "T190": "Anatomical Abnormality",
        "T191": "Neoplastic Process",
    },
    "GENE": {
        "T028": "Gene or Genome",
        "T085": "Molecular Sequence",
        "T086": "Nucleotide Sequence",
        "T087": "Amino Acid Sequence",
        "T088": "Carbohydrate Sequence",
    },
    "GEOG": {"T083": "Geographic Area"},
    "LIVB": {
        "T001": "Organism",
        "T002": "Plant",
        "T004": "Fungus",
        "T005": "Virus",
        "T007": "Bacterium",
        "T008": "Animal",
        "T010": "Vertebrate",
        "T011": "Amphibian",
        "T012": "Bird",
        "T013": "Fish",
        "T014": "Reptile",
        "T015": "Mammal",
        "T016": "Human",
        "T096": "Group",
        "T097": "Professional or Occupational Group",
        "T098": "Population Group",
        "T099": "Family Group",
        "T100": "Age Group",
        "T101": "Patient or Disabled Group",
        "T194": "Archaeon",
        "T204": "Eukaryote",
    },
    "OBJC": {
        "T071": "Entity",
        "T072": "Physical Object",
        "T073": "Manufactured Object",
        "T167": "Substance",
        "T168": "Food",
    },
    "OCCU": {
        "T090": "Occupation or Discipline",
        "T091": "Biomedical Occupation or Discipline",
    },
    "ORGA": {
        "T092": "Organization",
        "T093": "Health Care Related Organization",
        "T094": "Professional Society",
        "T095": "Self-help or Relief Organization",
    },
    "PHEN": {
        "T034": "Laboratory or Test Result",
        "T038": "Biologic Function",
        "T067": "Phenomenon or Process",
        "T068": "Human-caused Phenomenon or Process",
        "T069": "Environmental Effect of Humans",
        "T070": "Natural Phenomenon or Process",
    },
    "PHYS": {
        "T032": "Organism Attribute",
        "T039": "Physiologic Function",
        "T040": "Organism Function",
        "T041": "Mental Process",
        "T042": "Organ or Tissue Function",
        "T043": "Cell Function",
        "T044": "Molecular Function",
        "T045": "Genetic Function",
        "T201": "Clinical Attribute",
    },
    "PROC": {
        "T058": "Health Care Activity",
        "T059": "Laboratory Procedure",
        "T060": "Diagnostic Procedure",
        "T061": "Therapeutic or Preventive Procedure",
        "T062": "Research Activity",
        "T063": "Molecular Biology Research Technique",
        "T065": "Educational Activity",
    },
}

SEMANTIC_TYPES: Mapping[str, SemanticType] = {
    tui: SemanticType(tui=tui, name=name, group=group)
    for group, names in _NAMES.items()
    for tui, name in sorted(names.items())
}

# What a picture can show, and how it was made. Ours.
DEFAULT_TYPES: tuple[str, ...] = (
    "T017",
    "T018",
    "T019",
    "T020",
    "T021",
    "T022",
    "T023",
    "T024",
    "T029",
    "T030",
    "T031",
    "T033",
    "T037",
    "T046",
    "T047",
    "T060",
    "T073",
    "T074",
    "T082",  # the directions of X-rays, left and right
    "T122",
    "T130",  # contrast media
    "T190",
    "T191",
    "T203",
)


def chosen_types(words: Sequence[str]) -> tuple[str, ...]:
    """Return the types that words name, sorted; none stands for every type.

    Args:
        words: `default`, `all`, identifiers such as `T023`, groups such as `ANAT`.

    Raises:
        UsageFault: A word is none of these, or `all` stands beside others.
    """
    if ALL in words:
        if len(words) > 1:
            raise UsageFault(f"types: {ALL} takes every type, so it stands alone")
        return ()
    chosen: set[str] = set()
    for word in words:
        chosen.update(_types_of(word))
    return tuple(sorted(chosen))


def absent_types(words: Sequence[str], known: frozenset[str]) -> tuple[str, ...]:
    """Return the words, as `chosen_types` takes them, of whose types none is known."""
    return tuple(word for word in words if word != ALL and known.isdisjoint(_types_of(word)))


def type_name(tui: str) -> str:
    """Return the name of a type, empty where it is not one of UMLS."""
    known = SEMANTIC_TYPES.get(tui)
    return known.name if known else ""


def report_removed(removed: Iterable[Mention]) -> tuple[RemovedType, ...]:
    """Return what a filter took out by type, most mentions first; a concept of two types counts in both."""
    concepts: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for mention in removed:
        for tui in mention.types or ("",):
            concepts[tui][mention.cui, mention.name] += 1
    return removed_types(concepts)


def removed_types(concepts: Mapping[str, Mapping[tuple[str, str], int]]) -> tuple[RemovedType, ...]:
    """Return the lines of a report from mentions by type, then by CUI and name."""
    lines = [
        RemovedType(
            tui=tui,
            name=type_name(tui),
            mentions=sum(counts.values()),
            concepts=len({cui for cui, _ in counts}),
            examples=tuple((name, n) for (_, name), n in _most(counts)),
        )
        for tui, counts in concepts.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-line.mentions, line.tui)))


def _most(counts: Mapping[tuple[str, str], int]) -> list[tuple[tuple[str, str], int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_EXAMPLES]


def _types_of(word: str) -> tuple[str, ...]:
    if word == DEFAULT:
        return DEFAULT_TYPES
    if word in _NAMES:
        return tuple(_NAMES[word])
    if word in SEMANTIC_TYPES:
        return (word,)
    if _TUI.fullmatch(word):
        raise UsageFault(
            f"types: {word} is none of the {len(SEMANTIC_TYPES)} semantic types of UMLS, "
            f"which go from {min(SEMANTIC_TYPES)} to {max(SEMANTIC_TYPES)} with gaps"
        )
    groups = ", ".join(GROUPS)
    raise UsageFault(
        f"types: {shorten(word)!r} is neither {DEFAULT} nor {ALL}, no type such as T023, "
        f"and no group ({groups})"
    )
