"""Everyday names of the concepts that ROCOv2 curates by hand: what captions call CT, X-ray, chest.

The names are ours, except the preferred ones, which are those of ROCOv2's cui_mapping.csv. No caption says
"X-Ray Computed Tomography": without these names the modality is the first thing that is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dataset_builder.concepts.concept_names import AUTOMATIC, PREFERRED, ConceptName, name_key
from rocov2_eval.editions import DIRECTION_CUIS, MODALITY_CUIS, REGION_CUIS

SOURCE = "rocov2-build"

_DIAGNOSTIC_PROCEDURE, _BODY_PART, _BODY_LOCATION, _SPATIAL_CONCEPT = "T060", "T023", "T029", "T082"
# Where it is not the group's: modalities are procedures, regions body parts, directions spatial concepts.
_LOCATIONS = ("C0817096", "C0000726", "C0030797")

# Acronyms are looked for in capitals alone. PA is left out: it is the pulmonary artery as often.
NAMES: Mapping[str, tuple[str, ...]] = {
    "C0040405": (
        "CT",
        "CTs",
        "HRCT",
        "MDCT",
        "CBCT",
        "CECT",
        "NCCT",
        "CT scan",
        "CT scans",
        "CT image",
        "CT images",
        "CT imaging",
        "CAT scan",
        "CAT scans",
        "computed tomography",
        "computed tomographic",
        "computed tomograms",
        "computed tomogram",
        "computed tomography scan",
        "computed tomography scans",
        "computerized tomography",
        "computerised tomography",
        "computer tomography",
        "computed axial tomography",
    ),
    "C1306645": (
        "X-ray",
        "X-rays",
        "Xray",
        "Xrays",
        "X-ray image",
        "X-ray images",
        "X-ray film",
        "plain X-rays",
        "plain film",
        "plain films",
        "plain radiograph",
        "plain radiographs",
        "plain radiography",
        "radiograph",
        "radiographs",
        "radiography",
        "radiographic image",
        "radiographic images",
        "orthopantomogram",
        "orthopantomograms",
        "roentgenogram",
        "roentgenograms",
    ),
    "C0024485": (
        "MRI",
        "MRIs",
        "MR",
        "MR image",
        "MR images",
        "MR imaging",
        "MRI scan",
        "MRI scans",
        "MRCP",
        "fMRI",
        "magnetic resonance",
        "magnetic resonance image",
        "magnetic resonance images",
        "magnetic resonance imaging scan",
        "nuclear magnetic resonance imaging",
        "magnetic resonance tomography",
    ),
    "C0041618": (
        "US",
        "USG",
        "ultrasound",
        "ultrasounds",
        "ultrasound scan",
        "ultrasound scans",
        "ultrasound image",
        "ultrasound images",
        "ultrasonogram",
        "ultrasonograms",
        "ultrasonographic",
        "sonography",
        "sonogram",
        "sonograms",
        "sonographic",
        "echography",
        "echotomography",
    ),
    "C0002978": (
        "angiography",
        "angiographies",
        "angiograms",
        "angiographic",
        "arteriogram",
        "arteriograms",
        "arteriography",
    ),
    "C0032743": (
        "PET",
        "PET scan",
        "PET scans",
        "PET imaging",
        "PET image",
        "PET images",
        "positron emission tomography scan",
        "positron emission tomographic",
    ),
    "C0817096": ("thorax", "thoracic"),
    "C0023216": ("leg", "legs", "lower extremities", "lower limb", "lower limbs"),
    "C0037303": ("cranium", "cranial", "skull", "skulls", "cranial bones"),
    "C0000726": ("abdominal", "abdomens"),
    "C1140618": ("arm", "arms", "upper extremities", "upper limb", "upper limbs"),
    "C0037949": ("spine", "spines", "spinal column", "vertebral columns", "spinal"),
    "C0030797": ("pelvic", "pelvises", "pelves"),
    "C0006141": ("breasts", "mammary"),
    "C1999039": ("anteroposterior", "antero-posterior", "AP", "AP view", "AP projection"),
    "C1996865": ("posteroanterior", "posterior-anterior", "PA view", "PA projection"),
    "C0205129": ("sagittal plane", "sagittal view", "lateral view", "lateral projection"),
    "C0205106": ("transverse", "transverse plane", "transverse view"),
}


def with_everyday_names(rows: Iterable[ConceptName]) -> Iterator[ConceptName]:
    """Yield the everyday names, then the others but those that mean a modality.

    A name of a modality is the modality's, whatever else it abbreviates: `CT` is no calcitonin in a caption
    of a radiology image. The names of regions and directions take nothing away from other concepts.
    """
    ours = list(everyday_names())
    modalities = {name_key(row.name) for row in ours if row.cui in MODALITY_CUIS}
    yield from ours
    for row in rows:
        if row.cui in MODALITY_CUIS or name_key(row.name) not in modalities:
            yield row


def everyday_names() -> Iterator[ConceptName]:
    """Yield the preferred and the everyday names of the 18 concepts."""
    tables = (
        (MODALITY_CUIS, _DIAGNOSTIC_PROCEDURE),
        (REGION_CUIS, _BODY_PART),
        (DIRECTION_CUIS, _SPATIAL_CONCEPT),
    )
    for preferred, group_type in tables:
        for cui, name in preferred.items():
            types = (_BODY_LOCATION if cui in _LOCATIONS else group_type,)
            yield ConceptName(cui=cui, name=name, status=PREFERRED, types=types, source=SOURCE)
            for other in NAMES[cui]:
                yield ConceptName(cui=cui, name=other, status=AUTOMATIC, types=types, source=SOURCE)
