"""BERTScore against bert-score itself, on small random models of three families.

Passes under transformers 4 (bert-score untouched, slow tokenizers) and 5 (its three faults worked around).
Largest difference seen, 90 pairs a case: 2.5e-7.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from rocov2_eval.metrics.bertscore import BertScoreOptions, load, score
from rocov2_eval.reference import bert_scorer, bertscore_reference

import small_models

for library in ("torch", "transformers", "bert_score"):
    pytest.importorskip(library)

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of bert-score's own imports
    pytest.mark.filterwarnings("ignore:An issue occurred while importing"),
]

MOST = 1e-5
_BLOCKS = ((32, 126), (160, 0x24F), (0x4E00, 0x4E80), (0x1F600, 0x1F640), (0x2000, 0x202F), (9, 9))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: small_models.make(family, root / family) for family in small_models.FAMILIES}


def random_text(source: random.Random) -> str:
    spans = (source.choice(_BLOCKS) for _ in range(source.randint(0, 60)))
    # No angle brackets: a literal `<s>` takes another blank in slow tokenizers than in fast ones, and no
    # normalised caption has one.
    return "".join(chr(source.randint(*span)) for span in spans).replace("<", "(")


def pairs() -> tuple[list[str], list[str]]:
    source = random.Random(5)
    texts = small_models.captions(40) + [random_text(source) for _ in range(40)]
    texts += ["", " ", "\u202f", "a", "the the", " ".join(small_models.WORDS * 30), texts[0], texts[1]]
    references = texts.copy()
    source.shuffle(references)
    references[:3] = texts[:3]
    return [*texts, ""], [*references, ""]


@pytest.mark.parametrize("idf", [False, True])
@pytest.mark.parametrize("layer", [small_models.LAYERS - 1, small_models.LAYERS])
@pytest.mark.parametrize("family", small_models.FAMILIES)
def test_scores_equal_those_of_bert_score(
    folders: dict[str, Path], family: str, layer: int, *, idf: bool
) -> None:
    candidates, references = pairs()
    # bert-score has no rule for a pair of empty captions: it gives 0.
    options = BertScoreOptions(
        encoder=str(folders[family]), layer=layer, idf=idf, norm="none", both_empty=0.0
    )
    with load(options) as encoder:
        ours = score(candidates, references, options, encoder)
    corpus = references if idf else None
    expected = bertscore_reference(candidates, references, corpus, folders[family], layer)
    for name, column in zip(("precision", "recall", "f1"), expected, strict=True):
        samples = ours[f"bertscore_{name}"]
        assert np.isnan(column).tolist() == (~samples.scored).tolist()
        assert np.abs(np.nan_to_num(column) - samples.values).max() <= MOST


@pytest.mark.parametrize("family", small_models.FAMILIES)
def test_token_ids_equal_those_of_bert_score(folders: dict[str, Path], family: str) -> None:
    from bert_score import utils

    source = random.Random(11)
    texts = [random_text(source) for _ in range(1000)]
    options = BertScoreOptions(encoder=str(folders[family]))
    with load(options, notify=pytest.fail) as encoder, bert_scorer(None, folders[family], 2) as scorer:
        tokens = encoder.tokenise(texts)
        expected = [utils.sent_encode(scorer._tokenizer, text) for text in texts]
    ours = [tokens.ids[tokens.offsets[s] : tokens.offsets[s + 1]].tolist() for s in tokens.index]
    assert expected == ours


# What somebody may write into a cell to break a tokenizer or a model.
HOSTILE = (
    *("", " ", "\t\n", "\0", "\0\0\0", "\x01\x1b[31m\x07\x7f", "a\0b"),
    *("\ufeff", "\u200b\u200d\u2060", "\ufffd", "\ue000", "\U0010ffff\uffff"),
    *("\u202eknil a\u202c", "\u0645\u0631\u062d\u0628\u0627 chest", "\u05e9\u05dc\u05d5\u05dd"),
    *("\u0301\u0302\u0303" * 40, "e" + "\u0301" * 300, "\u0130\u0131\u1e9e\ufb01"),
    *("\U0001fa7b\U0001f9ec\U0001f468\u200d\u2695\ufe0f", "x" * 5000, "a" * 100 + " " + "1" * 400),
    *("[CLS] [SEP] [MASK] [UNK] [PAD]", "##ing ##s", "\u2581\u0120\u010a"),
)


@pytest.mark.parametrize("family", small_models.FAMILIES)
def test_scores_of_hostile_captions_equal_those_of_bert_score(folders: dict[str, Path], family: str) -> None:
    # DeBERTa's tokenizer names no limit, and attention takes the square of the words.
    words = 200 if family == "deberta" else 10_000
    texts = [text for text in HOSTILE if family != "deberta" or len(text) < 1000]
    # Slow and fast tokenizers of BERT differ on code points that Unicode has not assigned.
    texts = [text for text in texts if family != "bert" or "\uffff" not in text]
    texts += [" ".join((small_models.WORDS * words)[:words]), " ".join(small_models.WORDS * 20)]
    candidates, references = texts, [*texts[3:], *texts[:3]]
    options = BertScoreOptions(encoder=str(folders[family]), norm="none", both_empty=0.0)
    told: list[str] = []
    with load(options, notify=told.append) as encoder:
        ours = score(candidates, references, options, encoder)
    expected = bertscore_reference(candidates, references, None, folders[family], small_models.LAYERS)

    for name, column in zip(("precision", "recall", "f1"), expected, strict=True):
        assert np.abs(np.nan_to_num(column) - ours[f"bertscore_{name}"].values).max() <= MOST
    assert any("512 tokens or more" in note for note in told) == (family != "deberta")
    assert any("without a token" in note for note in told) == (family == "bert")


def test_a_corpus_of_one_leaves_only_tokens_it_lacks_with_a_weight(folders: dict[str, Path]) -> None:
    options = BertScoreOptions(encoder=str(folders["bert"]), idf=True, norm="none")
    with load(options, notify=pytest.fail) as encoder:
        ours = score(["axial chest mass"], ["axial chest"], options, encoder)
    precision, recall, f1 = bertscore_reference(
        ["axial chest mass"], ["axial chest"], ["axial chest"], folders["bert"], small_models.LAYERS
    )
    assert np.isnan(recall).all()
    assert not ours["bertscore_recall"].scored.any()
    assert f1 == ours["bertscore_f1"].values.tolist() == [0.0]
    assert ours["bertscore_precision"].values == pytest.approx(precision, abs=MOST)
