"""Find the 18 concepts that ROCOv2 curates by hand where a caption names them, without a model.

Names are those of `everyday_names.csv`, the longest first; one in capitals is looked for in capitals alone.
Body regions and directions are told of X-rays alone, as ROCOv2 has them: `AP` is a diameter beside a CT.
Nobody has looked at the images: what is found is automatic, never manual.
"""

from __future__ import annotations

import re
from functools import cache

from dataset_builder.concepts.concept_names import ConceptName, everyday_names
from dataset_builder.facets import MANUAL_NAMES, XRAY
from rocov2_eval.concept_extraction import Mention
from rocov2_eval.editions import MODALITY_CUIS

_BETWEEN = r"[\s\-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}]+"
_PARTS = re.compile(r"[\s-]+")


def named_concepts(caption: str) -> tuple[Mention, ...]:
    """Return where a caption names a modality, and of an X-ray its body region and direction, in order."""
    found = []
    names, pattern = _names()
    for match in pattern.finditer(caption):
        assert match.lastgroup is not None, "every branch has a name"
        row = names[int(match.lastgroup.removeprefix("n"))]
        found.append(
            Mention(
                start=match.start(),
                end=match.end(),
                text=match[0],
                cui=row.cui,
                name=MANUAL_NAMES[row.cui],
                types=row.types,
                accuracy=1.0,
            )
        )
    modalities = {mention.cui for mention in found if mention.cui in MODALITY_CUIS}
    return tuple(each for each in found if modalities == {XRAY} or each.cui in MODALITY_CUIS)


@cache
def _names() -> tuple[tuple[ConceptName, ...], re.Pattern[str]]:
    """Return the names, the longest first, and a pattern with a branch for each."""
    names = tuple(sorted(everyday_names(), key=lambda row: (-len(row.name), row.name)))
    branches = (f"(?P<n{i}>{_branch(row.name)})" for i, row in enumerate(names))
    return names, re.compile(rf"(?<!\w)(?:{'|'.join(branches)})(?!\w)")


def _branch(name: str) -> str:
    words = _BETWEEN.join(map(re.escape, _PARTS.split(name)))
    is_acronym = sum(map(str.isupper, name)) > 1 and " " not in name and "-" not in name
    return words if is_acronym else f"(?i:{words})"
