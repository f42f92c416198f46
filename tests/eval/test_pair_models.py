"""BLEURT and AlignScore on small models: batches, cache, edge cases, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_weights

from rocov2_eval.cache import FILE_NAME
from rocov2_eval.errors import MissingResource
from rocov2_eval.metrics import alignscore, bleurt
from rocov2_eval.metrics.alignscore import AlignModel, AlignScoreOptions
from rocov2_eval.metrics.bleurt import Bleurt, BleurtOptions
from rocov2_eval.pair_models import cut_longest_first

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sentencepiece")
pytest.importorskip("nltk")

TEXTS = ["axial ct of the chest", "", "mri of the knee. a tear.", "axial ct of the chest", "fracture", "..."]
OTHERS = ["chest ct", "a mass", "", "chest ct", "fracture of the radius. no other.", "x-ray"]
STRANGE = ["word " * 10_000, "?!.,;", "🩻 🫁 🧠", "\0", "\u200b", "<mask></s>", "[SEP]"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("weights")
    return {
        "bleurt": tiny_weights.make_bleurt(root / "tiny-bleurt"),
        "align": tiny_weights.make_alignscore(root / "tiny-align"),
        "sentences": tiny_weights.make_splitter(root / "punkt"),
    }


def open_bleurt(folders: dict[str, Path], precision: str = "fp32", **options: Any) -> Any:
    return bleurt.load(
        BleurtOptions(weights=str(folders["bleurt"]), precision=precision),
        **({"device": "cpu", "notify": pytest.fail} | options),
    )


def open_align(folders: dict[str, Path], **options: Any) -> Any:
    names = AlignScoreOptions(weights=str(folders["align"]), sentences=str(folders["sentences"]))
    return alignscore.load(names, **({"device": "cpu", "notify": pytest.fail} | options))


@pytest.fixture
def rater(folders: dict[str, Path]) -> Iterator[Bleurt]:
    with open_bleurt(folders) as model:
        yield model


@pytest.fixture
def aligner(folders: dict[str, Path]) -> Iterator[AlignModel]:
    with open_align(folders) as model:
        yield model


# ---- batches and cache


def test_a_pair_is_rated_as_if_it_were_alone(rater: Bleurt) -> None:
    alone = [rater.rate([ours], [theirs])[0] for ours, theirs in zip(TEXTS, OTHERS, strict=True)]
    assert rater.rate(TEXTS, OTHERS) == pytest.approx(alone, abs=2e-6)


def test_a_batch_holds_distinct_pairs_of_one_length(rater: Bleurt, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[Any]] = []
    forward = rater._model._forward
    monkeypatch.setattr(rater._model, "_forward", lambda pairs: batches.append(pairs) or forward(pairs))
    rater.rate(TEXTS, OTHERS)
    assert all(len({pair.length for pair in batch}) == 1 for batch in batches)
    assert sum(map(len, batches)) == len(set(zip(TEXTS, OTHERS, strict=True)))


def test_a_second_run_reads_the_cache_alone(folders: dict[str, Path], tmp_path: Path) -> None:
    with open_bleurt(folders, cache=tmp_path) as model:
        expected = model.rate(TEXTS, OTHERS)
    seen: list[tuple[int, int]] = []
    with open_bleurt(folders, cache=tmp_path, progress=lambda *counts: seen.append(counts)) as model:
        assert model.rate(TEXTS, OTHERS).tobytes() == expected.tobytes()
    assert seen == [(0, 0)]


@pytest.mark.parametrize("content", [b"", b"12", b"12345678"])
def test_an_entry_of_the_cache_of_another_shape_is_computed_again(
    content: bytes, folders: dict[str, Path], tmp_path: Path
) -> None:
    with open_bleurt(folders, cache=tmp_path) as model:
        expected = model.rate(TEXTS, OTHERS)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        for (key,) in connection.execute("SELECT key FROM entries").fetchall():
            checksum = zlib.crc32(content, zlib.crc32(key))
            connection.execute(
                "UPDATE entries SET content = ?, checksum = ? WHERE key = ?", (content, checksum, key)
            )
    told: list[str] = []
    with open_bleurt(folders, cache=tmp_path, notify=told.append) as model:
        assert model.rate(TEXTS, OTHERS).tobytes() == expected.tobytes()
    assert "damaged entr" in told[0]


def test_another_precision_does_not_meet_in_the_cache(folders: dict[str, Path], tmp_path: Path) -> None:
    with open_bleurt(folders, "bf16") as model:
        expected = model.rate(TEXTS, OTHERS)
    for precision in ("fp32", "bf16"):
        with open_bleurt(folders, precision, cache=tmp_path) as model:
            ratings = model.rate(TEXTS, OTHERS)
    assert ratings.tobytes() == expected.tobytes()


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(folders: dict[str, Path], tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from rocov2_eval.metrics import bleurt
def kill_half_way(done, total):
    if done > total / 2:
        os.kill(os.getpid(), signal.SIGKILL)
options = bleurt.BleurtOptions(weights={str(folders["bleurt"])!r})
with bleurt.load(options, device="cpu", cache=Path({str(tmp_path)!r}), progress=kill_half_way) as model:
    model.rate(["chest " * n for n in range(40)], ["ct"] * 40)
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    seen: list[tuple[int, int]] = []
    with open_bleurt(folders, cache=tmp_path, progress=lambda *counts: seen.append(counts)) as model:
        model.rate(["chest " * n for n in range(40)], ["ct"] * 40)
    assert 0 < seen[-1][1] <= 20


def test_weights_that_give_no_numbers_are_refused(rater: Bleurt) -> None:
    with torch.no_grad():
        rater._model._network.head.bias.fill_(float("nan"))
    with pytest.raises(MissingResource, match="not finite"):
        rater.rate(["a"], ["b"])


# ---- edge cases


@pytest.mark.parametrize("text", STRANGE)
def test_strange_texts_are_scored_on_either_side(rater: Bleurt, aligner: AlignModel, text: str) -> None:
    ratings = rater.rate([text, "chest ct"], ["chest ct", text])
    aligned = aligner.align([text, "Chest CT."], ["Chest CT.", text])
    assert np.isfinite(ratings).all()
    assert all(0 <= value <= 1 for value in aligned)


@pytest.mark.parametrize(("candidate", "reference"), [("", ""), ("", "ct"), ("ct", ""), (" ", "ct")])
def test_bleurt_rates_empty_captions_like_any_pair(rater: Bleurt, candidate: str, reference: str) -> None:
    value = bleurt.score([candidate], [reference], resource=rater)["bleurt"].values[0]
    assert value == rater.rate([reference.strip()], [candidate.strip()])[0]
    assert value not in {0.0, 1.0}


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [("", "", 1.0), ("", "ct", 0.0), (" ", "ct", 0.0), (" ", "", 0.0), ("", " ", 0.0)],
)
def test_alignscore_of_captions_without_sentences(
    aligner: AlignModel, candidate: str, reference: str, expected: float
) -> None:
    assert alignscore.score([candidate], [reference], resource=aligner)["alignscore"].values == [expected]


def test_alignscore_of_an_empty_reference_is_what_the_model_says(aligner: AlignModel) -> None:
    value = alignscore.score(["ct"], [""], resource=aligner)["alignscore"].values[0]
    assert 0 < value < 1


@pytest.mark.parametrize(
    ("words", "chunks"), [(0, 1), (1, 1), (95, 4)], ids=["no sentence", "one sentence", "a remainder"]
)
def test_a_reference_is_cut_into_chunks_of_whole_sentences(words: int, chunks: int) -> None:
    sentences = ("one two three four five six seven eight.",) * words
    assert len(alignscore.chunks_of(" ".join(sentences), sentences)) == chunks


@pytest.mark.parametrize(
    ("lengths", "most", "expected"),
    [
        ((3, 4), 7, (3, 4)),
        ((3, 9), 7, (3, 4)),
        ((9, 3), 8, (5, 3)),
        ((9, 9), 8, (4, 4)),
        ((9, 9), 7, (4, 3)),
        ((0, 9), 4, (0, 4)),
    ],
)
def test_the_longer_text_loses_tokens_first(
    lengths: tuple[int, int], most: int, expected: tuple[int, int]
) -> None:
    assert cut_longest_first(*lengths, most) == expected


# ---- identity


def test_the_identity_names_weights_and_splitter(aligner: AlignModel) -> None:
    options = alignscore.identified(AlignScoreOptions(), aligner)
    assert str(options.weights).startswith("tiny-align@")
    assert str(options.sentences).startswith("punkt@")


# ---- wrong weights


def damaged(folders: dict[str, Path], target: Path, kind: str) -> Path:
    target.mkdir()
    for path in folders[kind].iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_a_missing_tensor_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged(folders, tmp_path / "mine", "bleurt")
    state = torch.load(folder / "pytorch_model.bin")
    del state["classifier.bias"]
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(MissingResource, match=r"mine: no tensor head\.bias"), open_bleurt({"bleurt": folder}):
        pass


def test_weights_of_another_width_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged(folders, tmp_path / "mine", "align")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 7}))
    with pytest.raises(MissingResource, match="different models"), open_align(folders | {"align": folder}):
        pass


def test_a_tokenizer_of_another_model_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged(folders, tmp_path / "mine", "bleurt")
    (folder / "spm.model").write_bytes(b"not a model")
    with (
        pytest.raises(MissingResource, match=r"spm\.model: not a SentencePiece model"),
        open_bleurt({"bleurt": folder}),
    ):
        pass


def test_a_damaged_vocabulary_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged(folders, tmp_path / "mine", "align")
    (folder / "vocab.json").write_text("{")
    with (
        pytest.raises(MissingResource, match=r"vocab\.json: not JSON"),
        open_align(folders | {"align": folder}),
    ):
        pass


def test_merges_of_another_vocabulary_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged(folders, tmp_path / "mine", "align")
    (folder / "merges.txt").write_text("#version: 0.2\nzz zz\n")
    with pytest.raises(MissingResource, match=":2: "), open_align(folders | {"align": folder}):
        pass


def test_merges_that_are_cut_short_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged(folders, tmp_path / "mine", "align")
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "merges.txt").write_text("".join(lines[:100]), encoding="utf-8")
    with pytest.raises(MissingResource, match="incomplete"), open_align(folders | {"align": folder}):
        pass


@pytest.mark.parametrize(
    "change",
    [{"num_attention_heads": 7}, {"hidden_act": "nope"}, {"vocab_size": "x"}, {"pad_token_id": 10**9}],
)
@pytest.mark.parametrize("kind", ["bleurt", "align"])
def test_a_configuration_that_makes_no_model_is_refused(
    folders: dict[str, Path], tmp_path: Path, kind: str, change: dict[str, object]
) -> None:
    folder = damaged(folders, tmp_path / "mine", kind)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | change), encoding="utf-8")
    opened = {"bleurt": open_bleurt, "align": open_align}[kind]
    with (
        pytest.raises(MissingResource, match=r"mine.*copy the file again"),
        opened(folders | {kind: folder}),
    ):
        pass


def test_damaged_data_of_the_splitter_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = damaged(folders, tmp_path / "mine", "sentences")
    (folder / "ortho_context.tab").write_text("the\tmany\n")
    with (
        pytest.raises(MissingResource, match="the data of Punkt are damaged"),
        open_align(folders | {"sentences": folder}),
    ):
        pass
