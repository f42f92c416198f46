"""Concepts in texts: what a pack finds, which mentions are kept, and packs that are none."""

from __future__ import annotations

import importlib.metadata
import pickle
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rocov2_eval.concept_extraction import (
    MedcatExtractor,
    Mention,
    longest,
    open_pack,
    pack_identity,
    require_pack,
)
from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.extras import install_command

pytestmark = pytest.mark.slow

CAPTION = "Axial CT scan of the chest wall with effusion"
SPANS = st.tuples(st.integers(0, 12), st.integers(1, 5), st.sampled_from(["C1", "C2"]), st.floats(0, 1))


@pytest.fixture(scope="session")
def extractor(pack: Path) -> Iterator[MedcatExtractor]:
    with open_pack(pack) as opened:
        yield opened


def mention(start: int, end: int, cui: str = "C1", accuracy: float = 1.0) -> Mention:
    return Mention(
        start=start, end=end, text="x" * (end - start), cui=cui, name=cui, types=(), accuracy=accuracy
    )


def found(extractor: MedcatExtractor, text: str) -> list[tuple[str, str]]:
    return [(item.text, item.cui) for item in extractor.extract([text])[0]]


def overlap(first: Mention, second: Mention) -> bool:
    return first.start < second.end and second.start < first.end


# ---- what is found


def test_a_mention_has_span_text_concept_types_and_accuracy(extractor: MedcatExtractor) -> None:
    expected = Mention(
        start=6,
        end=13,
        text="CT scan",
        cui="C0040405",
        name="X-Ray Computed Tomography",
        types=("T060",),
        accuracy=1.0,
    )
    assert expected == extractor.extract([CAPTION])[0][0]


def test_mentions_stand_where_the_text_says(extractor: MedcatExtractor) -> None:
    (mentions,) = extractor.extract([CAPTION])

    assert [CAPTION[item.start : item.end] for item in mentions] == [item.text for item in mentions]


def test_of_mentions_that_overlap_the_longest_is_kept(extractor: MedcatExtractor) -> None:
    expected = [("CT scan", "C0040405"), ("chest wall", "C1527391"), ("effusion", "C0032227")]
    assert expected == found(extractor, CAPTION)


def test_short_names_are_found_in_capitals_alone(extractor: MedcatExtractor) -> None:
    assert found(extractor, "let us compare with US") == [("US", "C0041618")]


def test_a_name_of_two_concepts_that_nothing_tells_apart_is_left_out(extractor: MedcatExtractor) -> None:
    assert found(extractor, "mass of the liver") == [("liver", "C0023884")]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u200b", "\0", "…", "12", "肺", "\ud800"])
def test_a_text_without_words_has_no_concept(text: str, extractor: MedcatExtractor) -> None:
    assert extractor.extract([text]) == [()]


@settings(max_examples=100, deadline=None)
@given(
    text=st.text(max_size=20) | st.lists(st.sampled_from(["CT", "x", "liver", "\0", "US", "-"])).map(" ".join)
)
def test_any_text_can_be_read(text: str, extractor: MedcatExtractor) -> None:
    (mentions,) = extractor.extract([text])

    assert [text[item.start : item.end] for item in mentions] == [item.text for item in mentions]


def test_a_text_is_read_alike_whatever_stands_beside_it(extractor: MedcatExtractor) -> None:
    alone = extractor.extract([CAPTION])[0]

    assert alone == extractor.extract(["US of the liver", CAPTION, "mass"])[1]


def test_types_restrict_what_is_found(pack: Path) -> None:
    with open_pack(pack, types=("T047", "T999")) as extractor:
        assert found(extractor, CAPTION) == [("effusion", "C0032227")]


def test_types_of_which_the_pack_has_none_are_refused(pack: Path) -> None:
    with (
        pytest.raises(RejectedInput, match="no concept of the types T998, T999"),
        open_pack(pack, types=("T998", "T999")),
    ):
        pass


@pytest.mark.slow
def test_a_pack_that_asks_for_a_log_of_what_it_is_shown_gets_none(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_pack(pack) as loaded:
        loaded.cat.config.general.usage_monitor.enabled = True
        loaded.cat.config.general.usage_monitor.log_folder = str(tmp_path / "logs")
        asking = loaded.cat.save_model_pack(str(tmp_path), pack_name="asking", make_archive=False)

    with open_pack(Path(asking)) as extractor:
        extractor.extract([CAPTION])

    assert extractor.cat.usage_monitor.should_monitor is False
    assert not (tmp_path / "logs").exists()


def test_progress_counts_texts_to_the_end(extractor: MedcatExtractor) -> None:
    told: list[tuple[int, int]] = []
    counting = MedcatExtractor(
        cat=extractor.cat, identity=extractor.identity, progress=lambda *counts: told.append(counts)
    )

    counting.extract(["CT"] * 450)

    assert told == [(200, 450), (400, 450), (450, 450)]


# ---- the longest mentions


@settings(max_examples=100, deadline=None)
@given(spans=st.lists(SPANS, max_size=8))
def test_kept_mentions_do_not_overlap_and_every_other_one_meets_a_kept_one(
    spans: list[tuple[int, int, str, float]],
) -> None:
    mentions = [mention(start, start + length, cui, accuracy) for start, length, cui, accuracy in spans]

    kept = longest(mentions)

    assert [(a, b) for i, a in enumerate(kept) for b in kept[:i] if overlap(a, b)] == []
    lost = [item for item in mentions if item not in kept]
    assert [item for item in lost if not any(overlap(item, other) for other in kept)] == []


@settings(max_examples=100, deadline=None)
@given(spans=st.lists(SPANS, max_size=8), data=st.data())
def test_which_mentions_are_kept_does_not_depend_on_their_order(
    spans: list[tuple[int, int, str, float]], data: st.DataObject
) -> None:
    mentions = [mention(start, start + length, cui, accuracy) for start, length, cui, accuracy in spans]

    assert longest(mentions) == longest(data.draw(st.permutations(mentions)))


def test_of_equally_long_mentions_the_earlier_is_kept() -> None:
    assert [mention(0, 4)] == longest([mention(2, 6), mention(0, 4)])


def test_of_two_concepts_of_one_span_the_surer_is_kept() -> None:
    assert [mention(0, 4, "C2", 0.9)] == longest([mention(0, 4, "C1", 0.5), mention(0, 4, "C2", 0.9)])


# ---- packs


def test_a_pack_has_one_identity_as_folder_and_as_archive(pack: Path) -> None:
    assert pack_identity(pack) == pack_identity(pack.with_suffix(""))


def test_loading_a_pack_leaves_it_as_it_was(pack: Path) -> None:
    folder = pack.with_suffix("")
    before = pack_identity(folder)

    with open_pack(folder) as extractor:
        extractor.extract([CAPTION])

    assert before == pack_identity(folder)
    assert before == extractor.identity


def test_the_identity_of_a_pack_changes_with_its_content(pack: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(pack.with_suffix(""), tmp_path / "small")
    (copied / "model_card.json").write_text("{}")

    name, _, digest = pack_identity(copied).partition("@")

    assert (name, digest != pack_identity(pack).partition("@")[2]) == ("small", True)


@pytest.mark.parametrize("opened", [pack_identity, require_pack])
def test_a_pack_that_is_not_there_is_missing(opened: type, tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match="No such file or directory"):
        opened(tmp_path / "none.zip")


@pytest.mark.parametrize("opened", [pack_identity, require_pack])
@pytest.mark.parametrize("content", [b"", b"ID,Caption\n", b"PK\x03\x04" + b"\0" * 40])
def test_what_is_no_archive_is_named_as_such(opened: type, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pack.zip"
    path.write_bytes(content)

    with pytest.raises(RejectedInput, match="neither a folder nor a zip archive of a model pack"):
        opened(path)


def test_a_damaged_archive_is_named_as_such(pack: Path, tmp_path: Path) -> None:
    content = bytearray(pack.read_bytes())
    content[200:400] = b"\xff" * 200
    path = tmp_path / "pack.zip"
    path.write_bytes(content)

    with pytest.raises(RejectedInput, match="neither a folder nor a zip archive of a model pack"):
        pack_identity(path)


@pytest.mark.parametrize("opened", [pack_identity, require_pack])
@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        ("cdb.dat", "a model pack of MedCAT 1, expected one of MedCAT 2"),
        ("pack/cdb/config", "no folder cdb/ at its top, expected a model pack of MedCAT 2"),
    ],
)
def test_an_archive_of_something_else_is_refused_with_what_was_expected(
    opened: type, member: str, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, b"")

    with pytest.raises(RejectedInput, match=complaint):
        opened(path)


def test_a_folder_that_only_looks_like_a_pack_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "cdb").mkdir()
    (tmp_path / "cdb/raw_dict.dat").write_bytes(pickle.dumps({}))

    with pytest.raises(RejectedInput, match="MedCAT cannot load this model pack"), open_pack(tmp_path):
        pass


@pytest.mark.parametrize("opened", [require_pack, lambda path: open_pack(path).__enter__()])
def test_without_medcat_the_extra_is_named(opened: type, pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("rocov2_eval.concept_extraction.version", absent)

    with pytest.raises(MissingResource, match=re.escape(install_command("concepts"))):
        opened(pack)
