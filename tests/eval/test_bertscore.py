"""BERTScore on a fake encoder whose vectors are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocov2_eval.encoders import Arena, Tokens
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.metrics.bertscore import (
    METRIC,
    OUTPUTS,
    BertScoreOptions,
    f1,
    flat_weights,
    idf_weights,
    load,
    score,
)

CLS, SEP = 0, 1
WIDTH = 128
PLAIN = BertScoreOptions(norm="none")
IDF = BertScoreOptions(norm="none", idf=True)


class LetterEncoder:
    """One token a letter; a letter's vector is its own axis, so that cosines are 0 or 1.

    `-` is the opposite of `a`. The opening token is 0.6 along `z`, and so may be matched by it.
    """

    def encode(self, texts: Sequence[str]) -> Arena:
        sequences = [(CLS, *(ord(letter) for letter in text.strip()), SEP) for text in texts]
        distinct = sorted(set(sequences), key=lambda sequence: (len(sequence), sequence))
        ids = np.array([token for sequence in distinct for token in sequence], np.int64)
        tokens = Tokens(
            ids=ids,
            offsets=np.cumsum([0, *map(len, distinct)]),
            index=np.array([distinct.index(sequence) for sequence in sequences], np.int64),
            specials=(CLS, SEP),
            bare_length=2,
        )
        return Arena(
            tokens=tokens, vectors=np.array([self.vector(token) for token in ids]).reshape(len(ids), WIDTH)
        )

    def vector(self, token: int) -> np.ndarray:
        vector = np.zeros(WIDTH, np.float32)
        vector[token if chr(token) != "-" else ord("a")] = -1 if chr(token) == "-" else 1
        if token == CLS:
            vector[CLS], vector[ord("z")] = 0.8, 0.6
        return vector


def scores(candidate: str, reference: str, options: BertScoreOptions = PLAIN) -> tuple[float | None, ...]:
    samples = score([candidate], [reference], options, LetterEncoder())
    columns = (samples[name] for name in OUTPUTS)
    return tuple(float(column.values[0]) if column.scored[0] else None for column in columns)


def test_precision_is_the_matched_share_of_the_candidate() -> None:
    assert scores("abcd", "ab")[1] == pytest.approx(0.5)


def test_recall_is_the_matched_share_of_the_reference() -> None:
    assert scores("abc", "abcdef")[2] == pytest.approx(0.5)


def test_f1_is_the_harmonic_mean() -> None:
    assert scores("abcd", "ab")[0] == pytest.approx(2 * 0.5 * 1.0 / 1.5)


def test_a_token_may_be_matched_by_the_opening_one() -> None:
    assert scores("z", "b")[1] == pytest.approx(0.6)


def test_negative_cosines_are_not_lifted_to_zero() -> None:
    class NoSpecials(LetterEncoder):
        def vector(self, token: int) -> np.ndarray:
            return super().vector(ord("-") if token in {CLS, SEP} else token)

    samples = score(["a"], ["-"], PLAIN, NoSpecials())
    assert samples["bertscore_precision"].values.tolist() == [-1.0]


def test_a_caption_equal_to_its_reference_scores_one() -> None:
    assert scores("abc", "abc") == (1.0, 1.0, 1.0)


def test_two_empty_captions_score_what_the_options_say() -> None:
    assert scores("", "", BertScoreOptions(norm="none", both_empty=0.25)) == (0.25, 0.25, 0.25)


def test_captions_of_punctuation_only_are_empty_after_normalisation() -> None:
    assert scores(".", "?!", BertScoreOptions()) == (1.0, 1.0, 1.0)


def test_two_captions_of_blanks_are_not_empty_and_score_zero() -> None:
    assert scores("\u202f", "\u202f") == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("candidate", "reference"), [("", "a"), ("a", "")])
def test_a_side_without_tokens_scores_zero(candidate: str, reference: str) -> None:
    assert scores(candidate, reference) == (0.0, 0.0, 0.0)


def test_captions_are_normalised_before_they_are_compared() -> None:
    assert scores("X-RAY 12", "xray number", BertScoreOptions())[0] == 1.0


def test_a_rare_token_weighs_more_under_idf() -> None:
    references = ["ab", "a", "a"]
    samples = score(["a", "a", "a"], references, IDF, LetterEncoder())
    # `a` is in all three references and weighs nothing, so recall of the first pair is that of `b`.
    assert samples["bertscore_recall"].values[0] == 0.0


def test_a_repeated_reference_counts_as_often_as_it_occurs() -> None:
    arena = LetterEncoder().encode(["ab", "ab", "c"])
    weights = dict(zip(arena.tokens.ids.tolist(), idf_weights(arena.tokens, arena.tokens.index), strict=True))
    assert weights[ord("a")] == pytest.approx(math.log(4 / 3))
    assert weights[ord("c")] == pytest.approx(math.log(4 / 2))


def test_a_token_of_no_reference_has_the_largest_idf() -> None:
    tokens = LetterEncoder().encode(["x", "a", "b"]).tokens
    weights = dict(zip(tokens.ids.tolist(), idf_weights(tokens, tokens.index[1:]), strict=True))
    assert weights[ord("x")] == pytest.approx(math.log(3))


def test_opening_and_closing_tokens_weigh_nothing() -> None:
    tokens = LetterEncoder().encode(["ab"]).tokens
    assert flat_weights(tokens).tolist() == [0.0, 1.0, 1.0, 0.0]
    assert idf_weights(tokens, tokens.index)[[0, -1]].tolist() == [0.0, 0.0]


def test_precision_and_recall_are_unscored_where_every_token_weighs_nothing() -> None:
    assert scores("ab", "ab", IDF) == (0.0, None, None)


def test_f1_is_zero_where_precision_and_recall_cancel() -> None:
    assert f1(np.array([0.5, 0.0]), np.array([-0.5, 0.0])).tolist() == [0.0, 0.0]


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1 candidates, but 2 references"):
        score(["a"], ["a", "b"], PLAIN, LetterEncoder())


def test_scoring_without_an_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="needs an encoder"):
        score(["a"], ["a"])


def test_no_captions_give_no_scores() -> None:
    assert [len(column) for column in score([], [], PLAIN, LetterEncoder()).values()] == [0, 0, 0]


def test_an_unknown_norm_is_refused() -> None:
    with pytest.raises(UsageFault, match="norm is 'clef1999'"):
        BertScoreOptions(norm="clef1999")


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageFault, match="precision is 'fp8'"):
        BertScoreOptions(precision="fp8")


def test_absent_weights_are_reported_with_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rocov2_eval.models._cached_path", lambda _: None)
    with pytest.raises(MissingResource) as caught:
        load(BertScoreOptions(), notify=pytest.fail)
    assert "rocov2-eval models fetch deberta-xlarge-mnli" in str(caught.value)
    assert "--encoder minilm  (scores not comparable with official ones" in str(caught.value)


def test_the_metric_names_its_outputs_with_f1_first() -> None:
    assert METRIC.outputs == ("bertscore_f1", "bertscore_precision", "bertscore_recall")


captions = st.text(alphabet="abcxyz", max_size=8)


@given(st.lists(st.tuples(captions, captions), min_size=1, max_size=6))
def test_scores_stay_within_the_bounds(drawn: list[tuple[str, str]]) -> None:
    ours, theirs = zip(*drawn, strict=True)
    for column in score(ours, theirs, IDF, LetterEncoder()).values():
        assert (np.abs(column.values) <= 1.0).all()


@given(st.lists(st.tuples(captions, captions), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_scores_follow_the_order_of_the_pairs(drawn: list[tuple[str, str]], source: object) -> None:
    order = list(range(len(drawn)))
    source.shuffle(order)
    ours, theirs = zip(*drawn, strict=True)
    straight = score(ours, theirs, IDF, LetterEncoder())
    shuffled = score([ours[i] for i in order], [theirs[i] for i in order], IDF, LetterEncoder())
    for name in OUTPUTS:
        assert straight[name].values[order].tolist() == shuffled[name].values.tolist()
