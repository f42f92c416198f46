"""The names that columns of ids and answers have in files of other programs."""

from __future__ import annotations

from collections.abc import Mapping

ID_NAMES = frozenset(
    [
        "id",
        "imageid",
        "image",
        "imagename",
        "imgid",
        "img",
        "imagefile",
        "imagepath",
        "filename",
        "file",
        "filepath",
        "figureid",
        "uid",
        "key",
    ]
)
VALUE_NAMES: Mapping[str, frozenset[str]] = {
    "concepts": frozenset(
        [
            "cui",
            "cuis",
            "concept",
            "concepts",
            "conceptid",
            "conceptids",
            "cuicodes",
            "umlscuis",
            "umlsconcepts",
            "predictedcuis",
            "predictedcui",
            "cuispred",
            "predictedconcepts",
            "conceptspred",
            "cuilist",
        ]
    ),
    "captions": frozenset(
        [
            "caption",
            "captions",
            "text",
            "description",
            "report",
            "generatedcaption",
            "generatedcaptions",
            "predictedcaption",
            "predictedcaptions",
            "captionpred",
            "predcaption",
            "generatedtext",
            "captiontext",
            "candidate",
        ]
    ),
}
NEUTRAL_NAMES = frozenset(
    [
        "prediction",
        "predictions",
        "predicted",
        "pred",
        "preds",
        "output",
        "outputs",
        "generated",
        "generation",
        "answer",
        "answers",
        "response",
        "hypothesis",
        "value",
        "label",
        "labels",
        "result",
    ]
)
# How names begin that hold what a model said, where the truth stands beside it.
MODEL_NAMES = ("pred", "generat", "output", "response", "hypothesis", "candidate", "answer", "result")
ANSWER_NAMES = NEUTRAL_NAMES.union(*VALUE_NAMES.values())
INDEX_NAMES = frozenset(
    ("", "unnamed0", "index", "level0", "indexlevel0", "rownames", "x1")
)  # of pandas and R


def bare(name: str) -> str:
    """Return the letters and digits of a name in lower case: `Image ID` and `image_id` are one."""
    return "".join(filter(str.isalnum, name)).lower()


def is_id_name(name: str) -> bool:
    """Tell whether a column of this name holds ids."""
    return bare(name) in ID_NAMES
