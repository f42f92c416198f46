"""What holds of every metric of the table, whatever it measures."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocov2_eval.align import concept_sets
from rocov2_eval.concept_extraction import Mention
from rocov2_eval.editions import EDITIONS, SCORED_MANUAL_CUIS
from rocov2_eval.encoders import Arena, Tokens
from rocov2_eval.metric import CaptionedImage, Metric
from rocov2_eval.metrics import METRICS, main_output, metric_of
from rocov2_eval.metrics.derived import DERIVED, derive
from rocov2_eval.records import FloatArray, SampleScores, Task
from rocov2_eval.signature import parse, signature

CUIS = st.sampled_from([*SCORED_MANUAL_CUIS[:4], "C1", "c1", "C2", "", " C1 "])
WORDS = st.sampled_from(["chest", "CT", "x-ray", "1.5", "the", "ΑΣ", "肺", "…", "!", "\0", "arrow", "ARROW"])
CELLS: Mapping[str, st.SearchStrategy[str | None]] = {
    "concepts": st.none() | st.lists(CUIS, max_size=5).map(";".join),
    "captions": st.text(max_size=12) | st.lists(WORDS, max_size=12).map(" ".join),
}
# No two words are opposite, as with real encoders: between precision and recall of different sign the F of
# bert-score knows no bound.
DRAWN = np.random.default_rng(5).random((1000, 8)).astype(np.float32)
VECTORS = DRAWN / np.linalg.norm(DRAWN, axis=1, keepdims=True)
OF_ALL = ("bleu1", "cider")  # count the words of all captions, or weigh by all references
FEW = settings(max_examples=25, deadline=None)


class FakeEncoder:
    """Give each word a vector of its own, chosen by its spelling, between an opening and a closing token."""

    def encode(self, texts: Sequence[str]) -> Arena:
        sequences = [(0, *map(token_of, text.split()), 1) for text in texts]
        distinct = sorted(set(sequences), key=lambda sequence: (len(sequence), sequence))
        place = {sequence: i for i, sequence in enumerate(distinct)}
        ids = np.array([token for sequence in distinct for token in sequence], np.int64)
        tokens = Tokens(
            ids=ids,
            offsets=np.cumsum([0, *map(len, distinct)]),
            index=np.array([place[sequence] for sequence in sequences], np.int64),
            specials=(0, 1),
            bare_length=2,
        )
        return Arena(tokens=tokens, vectors=VECTORS[ids])


class FakeExtractor:
    """Find a concept in every word; words that begin alike share a name, and some of them a CUI."""

    identity = "fake@123"

    def extract(self, texts: Sequence[str]) -> list[tuple[Mention, ...]]:
        return [tuple(map(mention_of, text.split())) for text in texts]


class FakeDualEncoder:
    """Give each text and each file a vector chosen by its spelling, some of them opposite to each other."""

    identity = "fake@123"

    def text_vectors(self, texts: Sequence[str]) -> FloatArray:
        signs = [[1.0 if token_of(text) % 2 else -1.0] for text in texts]
        return VECTORS[[token_of(text) for text in texts]] * np.reshape(signs, (-1, 1))

    def image_vectors(self, images: Sequence[Path]) -> FloatArray:
        return self.text_vectors([image.name for image in images])


class FakeRater:
    """Rate a candidate by its number of tokens, beyond 1 and below 0."""

    def rate(self, references: Sequence[str], candidates: Sequence[str]) -> FloatArray:
        pairs = zip(references, candidates, strict=True)
        return np.array([len(theirs) - len(ours) / 3 for ours, theirs in pairs], np.float64)


class FakeAligner:
    """Align a claim by its length, and none of blanks."""

    def align(self, contexts: Sequence[str], claims: Sequence[str]) -> list[float | None]:
        pairs = zip(contexts, claims, strict=True)
        return [1 / (1 + len(context) + len(claim)) if claim.strip() else None for context, claim in pairs]


def mention_of(word: str) -> Mention:
    return Mention(
        start=0, end=len(word), text=word, cui=f"C{token_of(word) % 7}", name=word[0], types=(), accuracy=1.0
    )


def token_of(word: str) -> int:
    return 2 + zlib.crc32(word.encode()) % (len(VECTORS) - 2)


# What stands in the place of the model of a metric that has one.
FAKES: Mapping[str, Any] = {
    "bertscore": FakeEncoder(),
    "umls_f1": FakeExtractor(),
    "similarity": FakeDualEncoder(),
    "clipscore": FakeDualEncoder(),
    "bleurt": FakeRater(),
    "alignscore": FakeAligner(),
}


@pytest.fixture(params=METRICS)
def metric(request: pytest.FixtureRequest) -> Metric:
    return METRICS[request.param]


def score(metric: Metric, candidates: Sequence[Any], references: Sequence[Any]) -> Mapping[str, SampleScores]:
    """Score cells as a metric takes them, with the fake of its model."""
    columns = concept_sets(candidates, references) if metric.needs == "concepts" else (candidates, references)
    if isinstance(FAKES.get(metric.name), FakeDualEncoder):
        columns = candidates, [CaptionedImage(caption=text, image=Path(f"{text}.jpg")) for text in references]
    return metric.score(*columns, metric.options(), FAKES[metric.name] if metric.load else None)


def draw_pairs(data: st.DataObject, metric: Metric, fewest: int = 0) -> tuple[list[Any], list[Any]]:
    cell = CELLS[metric.needs]
    pairs = data.draw(st.lists(st.tuples(cell, cell), min_size=fewest, max_size=8))
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def test_every_metric_stands_in_the_table_under_its_name() -> None:
    assert list(METRICS) == [metric.name for metric in METRICS.values()]


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("task", ["concepts", "captions"])
def test_whatever_an_edition_publishes_is_an_output_or_made_of_outputs(edition: str, task: Task) -> None:
    published = set(EDITIONS[edition].columns(task).values())

    assert {*DERIVED, *(output for metric in METRICS.values() for output in metric.outputs)} >= published


@FEW
@given(data=st.data())
@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_score_lies_between_its_members_on_each_image(name: str, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 6))
    column = st.lists(st.none() | st.floats(-3, 3), min_size=count, max_size=count)
    members = {member: drawn_scores(data.draw(column)) for member in DERIVED[name].members}

    scores = derive(name, members)

    values = np.stack([member.values for member in members.values()])
    scored = np.all([member.scored for member in members.values()], axis=0)
    assert scored.tolist() == scores.scored.tolist()
    assert not scores.values[~scored].any()
    assert (values.min(axis=0) - 1e-12 <= scores.values)[scored].all()
    assert (values.max(axis=0) + 1e-12 >= scores.values)[scored].all()


def drawn_scores(cells: Sequence[float | None]) -> SampleScores:
    return SampleScores(
        values=np.array([cell or 0.0 for cell in cells], np.float64),
        scored=np.array([cell is not None for cell in cells], np.bool_),
    )


@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_score_is_made_of_outputs_in_the_end_and_stands_behind_its_members(name: str) -> None:
    before = list(DERIVED)[: list(DERIVED).index(name)]

    for member in DERIVED[name].members:
        assert member in before or main_output(metric_of(member).name) == member


def test_no_two_metrics_yield_an_output_of_the_same_name() -> None:
    outputs = [*(output for metric in METRICS.values() for output in metric.outputs), *DERIVED]

    assert sorted(set(outputs)) == sorted(outputs)


def test_a_metric_is_found_by_its_name_and_by_each_output(metric: Metric) -> None:
    expected = {metric.name}

    assert expected == {metric_of(name).name for name in (metric.name, *metric.outputs)}


def test_an_unknown_name_is_no_metric() -> None:
    with pytest.raises(KeyError):
        metric_of("meteor")


def test_a_metric_that_loads_a_model_says_what_it_loaded(metric: Metric) -> None:
    assert (metric.load is None) == (metric.identify is None)


def test_the_signature_of_a_metric_names_every_option(metric: Metric) -> None:
    expected = {"metric", "rev", "v", *metric.options.__dataclass_fields__}

    assert expected == set(parse(signature(metric, metric.options())))


@FEW
@given(data=st.data())
@pytest.mark.parametrize("name", METRICS)
def test_every_output_has_one_score_an_image(name: str, data: st.DataObject) -> None:
    candidates, references = draw_pairs(data, METRICS[name])

    scores = score(METRICS[name], candidates, references)

    expected = dict.fromkeys(METRICS[name].outputs, len(references))
    assert expected == {output: len(item) for output, item in scores.items()}


@FEW
@given(data=st.data())
@pytest.mark.parametrize("name", METRICS)
def test_scores_stay_within_their_bounds(name: str, data: st.DataObject) -> None:
    low, high = METRICS[name].bounds

    scores = score(METRICS[name], *draw_pairs(data, METRICS[name]))

    assert all(low <= value <= high for item in scores.values() for value in item.values[item.scored])


@FEW
@given(data=st.data())
@pytest.mark.parametrize("name", METRICS)
def test_unscored_images_hold_zero(name: str, data: st.DataObject) -> None:
    scores = score(METRICS[name], *draw_pairs(data, METRICS[name]))

    assert not any(item.values[~item.scored].any() for item in scores.values())


@FEW
@given(data=st.data())
@pytest.mark.parametrize("name", METRICS)
def test_scores_follow_a_permutation_of_the_images(name: str, data: st.DataObject) -> None:
    candidates, references = draw_pairs(data, METRICS[name])
    order = data.draw(st.permutations(range(len(references))))

    in_order = columns_of(score(METRICS[name], candidates, references))
    shuffled = columns_of(
        score(METRICS[name], [candidates[i] for i in order], [references[i] for i in order])
    )

    expected = in_order[:, np.array(order, np.int64)]
    assert pytest.approx(expected, abs=tolerance_of(METRICS[name]), rel=0) == shuffled


@FEW
@given(data=st.data())
@pytest.mark.parametrize("name", [name for name in METRICS if name not in OF_ALL])
def test_the_score_of_an_image_does_not_depend_on_the_others(name: str, data: st.DataObject) -> None:
    candidates, references = draw_pairs(data, METRICS[name], fewest=1)
    chosen = data.draw(st.integers(0, len(references) - 1))

    together = columns_of(score(METRICS[name], candidates, references))
    alone = columns_of(score(METRICS[name], [candidates[chosen]], [references[chosen]]))

    expected = together[:, [chosen]]
    assert pytest.approx(expected, abs=tolerance_of(METRICS[name]), rel=0) == alone


@FEW
@given(data=st.data())
@pytest.mark.parametrize("name", METRICS)
def test_scoring_twice_gives_the_same_bits(name: str, data: st.DataObject) -> None:
    pairs = draw_pairs(data, METRICS[name])

    first, second = (score(METRICS[name], *pairs) for _ in range(2))

    assert columns_of(first).tobytes() == columns_of(second).tobytes()


@FEW
@given(data=st.data())
@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.identity is not None])
def test_a_non_empty_candidate_equal_to_its_reference_reaches_the_identity(
    name: str, data: st.DataObject
) -> None:
    metric = METRICS[name]
    cells = data.draw(st.lists(CELLS[metric.needs].filter(has_content), min_size=1, max_size=8))

    scores = score(metric, cells, cells)

    reached = [value for item in scores.values() for value in item.values[item.scored]]
    expected = [metric.identity] * len(reached)
    assert pytest.approx(expected, abs=tolerance_of(metric), rel=0) == reached


@pytest.mark.parametrize("shorter", ["candidates", "references"])
def test_candidates_and_references_of_different_number_are_refused(metric: Metric, shorter: str) -> None:
    few, many = ["C1"], ["C1", "C2"]
    ordered = (few, many) if shorter == "candidates" else (many, few)
    if metric.needs == "concepts":
        columns = tuple(concept_sets(cells, cells)[0] for cells in ordered)
    else:
        columns = ordered

    with pytest.raises(ValueError, match=f"{len(ordered[0])} candidates, but {len(ordered[1])} references"):
        metric.score(*columns, metric.options(), FAKES.get(metric.name))


def has_content(cell: str | None) -> bool:
    return any(word.isalnum() for word in (cell or "").replace(";", " ").split())


def tolerance_of(metric: Metric) -> float:
    """Return what may differ between equal scores: nothing, but for the rounding of a model's vectors."""
    return 1e-6 if metric.load else 0


def columns_of(scores: Mapping[str, SampleScores]) -> FloatArray:
    """Return the scores of n images, shape (outputs, n), -9 in the place of unscored ones."""
    return np.stack([np.where(item.scored, item.values, -9.0) for item in scores.values()])
