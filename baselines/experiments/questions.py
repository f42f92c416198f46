"""The experiments that ROCOv2 proposes: each a question, with ways to train that differ in one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rocov2_eval.editions import MODALITY_CUIS

MOST_SEEDS = 10
AUTOMATIC, UNFILTERED = "automatic", "unfiltered"  # tables of concepts that an experiment may ask for
_LICENCES = "all allowed licences"
_SINGLE = "with single concepts"
_TWO_REASONS = (
    "The first difference has two causes: fewer images, and different images. The second has only the latter."
)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Attributes:
        name: Name of the arm in the table.
        changes: Values of the recipe that it changes, by table and key, such as `data.licences`.
        learns_from: The further table of concepts that it learns from; empty for the dataset's own.
        as_few_as: The arm to whose number of training images, and so of steps, it is cut at random.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    learns_from: str = ""
    as_few_as: str = ""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """What two arms are compared for.

    Attributes:
        arm: The arm with the change.
        against: The arm without it.
        name: What is taken from what, short enough for a chart.
        says: What the change is, as the beginning of a sentence has it.
    """

    name: str
    arm: str
    against: str
    says: str


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question with its arms.

    Attributes:
        question: The question in a sentence.
        arms: Ways to train.
        contrasts: Which arms are compared; the first answers the question. None where groups of images are.
        limits: What the answer does not say, a sentence each.
        truth: The table that answers are judged by.
        only: CUIs that alone are judged; all if empty.
        facets: What images are grouped by: modality, or number of concepts.
        commons: Judge by the concepts that the tables of all arms have, and each arm by its own table too.
    """

    question: str
    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...] = ()
    limits: tuple[str, ...]
    truth: Literal["concepts", "concepts_manual"] = "concepts"
    only: tuple[str, ...] = ()
    facets: tuple[str, ...] = ("modality",)
    commons: bool = False


_MODALITIES = tuple(MODALITY_CUIS)
_MANUAL_MODALITY = {"decision.table": "concepts_manual", "data.only": list(_MODALITIES)}

EXPERIMENTS: Mapping[str, Experiment] = {
    "modality": Experiment(
        question="Does a modality classifier learn from automatic concepts what it learns from manual ones?",
        arms=(
            Arm(name="manual concepts", changes=_MANUAL_MODALITY),
            Arm(name="automatic concepts", changes=_MANUAL_MODALITY, learns_from=AUTOMATIC),
        ),
        contrasts=(
            Contrast(
                name="automatic - manual",
                arm="automatic concepts",
                against="manual concepts",
                says="with automatic concepts instead of manual ones",
            ),
        ),
        limits=(
            (
                "Both arms are scored with manual concepts. Each arm selected its epoch and rule with "
                "labels of its own table."
            ),
            "In ROCOv2 an image of several modalities has no manual one: any answer for it counts as wrong.",
        ),
        truth="concepts_manual",
        only=_MODALITIES,
    ),
    "semantic-types": Experiment(
        question="Does the semantic-type filter help concept detection?",
        arms=(
            Arm(name="with the filter"),
            Arm(name="without the filter", learns_from=UNFILTERED),
        ),
        contrasts=(
            Contrast(
                name="without - with filter",
                arm="without the filter",
                against="with the filter",
                says="without the filter",
            ),
        ),
        limits=(
            "The difference is computed on the common vocabulary: the concepts that both tables contain.",
            "The rule of each arm was fitted again for these concepts, with labels of the arm's own table.",
            (
                "F1 on the truth of an arm depends on the difficulty of its task. Do not compare it "
                "between arms."
            ),
        ),
        commons=True,
    ),
    "licences": Experiment(
        question="What is the effect of the images under CC BY-NC?",
        arms=(
            Arm(name=_LICENCES),
            Arm(name="CC BY only", changes={"data.licences": ["CC BY"]}),
            Arm(name="all, as few as CC BY", as_few_as="CC BY only"),
        ),
        contrasts=(
            Contrast(
                name="CC BY - all",
                arm="CC BY only",
                against=_LICENCES,
                says="without the images under other licences",
            ),
            Contrast(
                name="CC BY - as few of all",
                arm="CC BY only",
                against="all, as few as CC BY",
                says="without them, but at equal numbers of images and steps,",
            ),
        ),
        limits=(
            _TWO_REASONS,
            "Images under other licences come from other journals. The licence itself has no effect.",
        ),
    ),
    "single-concept": Experiment(
        question="Do training images with a single concept help or harm?",
        arms=(
            Arm(name=_SINGLE),
            Arm(name="without single concepts", changes={"data.least_concepts": 2}),
            Arm(name="with, as few as without", as_few_as="without single concepts"),
        ),
        contrasts=(
            Contrast(
                name="without - with",
                arm="without single concepts",
                against=_SINGLE,
                says="without training images of a single concept",
            ),
            Contrast(
                name="without - as few with",
                arm="without single concepts",
                against="with, as few as without",
                says="without them, but at equal numbers of images and steps,",
            ),
        ),
        limits=(
            _TWO_REASONS,
            "Images without any concept are left out together with those of a single one.",
        ),
        facets=("concepts", "modality"),
    ),
    "by-modality": Experiment(
        question="What is the F1 of the concepts of each modality, including rare ones?",
        arms=(Arm(name="all images"),),
        limits=(
            "Groups also differ in the number of concepts per image: no difference is due to modality alone.",
            (
                "Several modalities: according to manual concepts, or to all concepts if no manual one is "
                "a modality."
            ),
            "The intervals of the differences hold for all groups at once (Bonferroni).",
        ),
    ),
}
