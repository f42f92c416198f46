from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataset_builder.opening import SourceOptions, open_source
from dataset_builder.pmc.eligibility import NO_FULL_TEXT, NOT_THERE, RETRACTED
from dataset_builder.pmc.folder_source import DAMAGED_METADATA, OUTSIDE, FolderSource
from dataset_builder.records import Drop, Entry, Media
from dataset_builder.store import FolderStore
from rocov2_eval.errors import RejectedInput

from s3_server import Bucket

XML = b"<article/>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "articles"
    path.mkdir()
    return path


def lay_out(folder: Path, pmcid: str, version: int, **fields: Any) -> None:
    """Write an article as the service lays it out, the JSON in the flat mirror alone."""
    bucket = Bucket()
    bucket.add_article(pmcid, version, {"a.jpg": b"picture"}, xml=XML, **fields)
    bucket.write(folder)


def kept(found: Entry | Drop) -> Entry:
    assert isinstance(found, Entry), found
    return found


def reason(found: Entry | Drop) -> str:
    return found.reason if isinstance(found, Drop) else "kept"


def test_candidates_are_the_articles_ascending_by_number(folder: Path) -> None:
    for pmcid, version in (("PMC123", 1), ("PMC9", 2), ("PMC9", 10)):
        lay_out(folder, pmcid, version)
    (folder / "PMC77").mkdir()
    (folder / "PMC5.1").write_text("no folder")
    assert FolderSource(folder).candidates() == ("PMC9", "PMC123")


def test_the_newest_version_is_so_by_number(folder: Path) -> None:
    for version in (2, 10, 9):
        lay_out(folder, "PMC9", version)
    found = kept(FolderSource(folder).entry("PMC9"))
    assert (found.version, found.xml.key, found.licence) == (10, "PMC9.10/PMC9.10.xml", "CC BY")


def test_an_ineligible_newest_version_takes_the_article_with_it(folder: Path) -> None:
    lay_out(folder, "PMC9", 1)
    lay_out(folder, "PMC9", 2, is_retracted=True)
    assert reason(FolderSource(folder).entry("PMC9")) == RETRACTED


def test_the_json_beside_the_text_comes_before_the_mirror(folder: Path) -> None:
    lay_out(folder, "PMC9", 1, license_code="CC BY-NC")
    (folder / "metadata/PMC9.1.json").rename(folder / "PMC9.1/PMC9.1.json")
    lay_out(folder, "PMC9", 1, license_code="CC BY")
    assert kept(FolderSource(folder).entry("PMC9")).licence == "CC BY-NC"


def test_without_json_the_files_beside_the_text_are_the_media(folder: Path) -> None:
    lay_out(folder, "PMC9", 3)
    (folder / "metadata/PMC9.3.json").unlink()
    (folder / "PMC9.3/PMC9.3.pdf").write_bytes(b"")
    (folder / "PMC9.3/b%20c.gif").write_bytes(b"")
    found = kept(FolderSource(folder).entry("PMC9"))
    assert (found.version, found.licence, [item.key for item in found.media]) == (
        3,
        None,
        ["PMC9.3/a.jpg", "PMC9.3/b%20c.gif"],
    )


def test_text_and_picture_are_read_as_they_are(folder: Path) -> None:
    lay_out(folder, "PMC9", 1)
    source = FolderSource(folder)
    found = kept(source.entry("PMC9"))
    assert (source.read(found.xml), source.read(found.media[0])) == (XML, b"picture")


@pytest.mark.parametrize("name", ["x" * 300, "absent", "", "a.jpg/b"])
def test_a_name_that_no_file_has_is_none(folder: Path, name: str) -> None:
    lay_out(folder, "PMC9", 1)
    assert FolderSource(folder).read(Media(key=f"PMC9.1/{name}", name=name)) is None


def test_a_file_whose_sum_does_not_agree_is_rejected(folder: Path) -> None:
    lay_out(folder, "PMC9", 1)
    (folder / "PMC9.1/a.jpg").write_bytes(b"pic")
    source = FolderSource(folder)
    with pytest.raises(RejectedInput, match=r"a\.jpg: its MD5 sum is .* fetch it again"):
        source.read(kept(source.entry("PMC9")).media[0])


def test_an_article_without_text_is_dropped(folder: Path) -> None:
    lay_out(folder, "PMC9", 1)
    (folder / "PMC9.1/PMC9.1.xml").unlink()
    assert reason(FolderSource(folder).entry("PMC9")) == NO_FULL_TEXT


def test_an_article_that_is_not_there_is_dropped(folder: Path) -> None:
    assert reason(FolderSource(folder).entry("PMC9")) == NOT_THERE


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b"\xff\xfe"])
def test_an_article_with_damaged_metadata_is_dropped(folder: Path, content: bytes) -> None:
    lay_out(folder, "PMC9", 1)
    (folder / "metadata/PMC9.1.json").write_bytes(content)
    assert reason(FolderSource(folder).entry("PMC9")) == DAMAGED_METADATA


def test_metadata_of_another_version_are_damaged(folder: Path) -> None:
    lay_out(folder, "PMC9", 1)
    lay_out(folder, "PMC9", 2)
    (folder / "metadata/PMC9.1.json").replace(folder / "metadata/PMC9.2.json")
    assert reason(FolderSource(folder).entry("PMC9")) == DAMAGED_METADATA


class TestHostileFolders:
    @pytest.mark.parametrize("key", ["../secret", "PMC9.1/../../secret", "/etc/hostname", "PMC9.1/a\0.jpg"])
    def test_a_key_that_leads_out_is_rejected(self, folder: Path, key: str) -> None:
        (folder.parent / "secret").write_text("secret")
        with pytest.raises(RejectedInput):
            FolderSource(folder).read(Media(key=key, name="x"))

    def test_a_picture_that_is_a_link_out_is_rejected(self, folder: Path) -> None:
        lay_out(folder, "PMC9", 1)
        (folder / "metadata/PMC9.1.json").unlink()
        (folder.parent / "secret").write_text("secret")
        (folder / "PMC9.1/b.jpg").symlink_to(folder.parent / "secret")
        source = FolderSource(folder)
        with pytest.raises(RejectedInput, match=r"b\.jpg leads out of the folder"):
            source.read(kept(source.entry("PMC9")).media[1])

    @pytest.mark.parametrize("name", ["PMC9.1", "PMC9.1/PMC9.1.xml", "metadata/PMC9.1.json", "metadata"])
    def test_an_article_that_is_a_link_out_is_dropped(self, folder: Path, name: str) -> None:
        lay_out(folder, "PMC9", 1)
        (folder / name).rename(folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")
        assert reason(FolderSource(folder).entry("PMC9")) == OUTSIDE

    def test_a_link_inside_the_folder_is_followed(self, folder: Path) -> None:
        lay_out(folder, "PMC9", 1)
        (folder / "PMC9.1/a.jpg").rename(folder / "shared.jpg")
        (folder / "PMC9.1/a.jpg").symlink_to("../shared.jpg")
        source = FolderSource(folder)
        assert source.read(kept(source.entry("PMC9")).media[0]) == b"picture"

    def test_a_link_in_a_circle_is_no_file(self, folder: Path) -> None:
        lay_out(folder, "PMC9", 1)
        (folder / "PMC9.1/c.jpg").symlink_to("c.jpg")
        assert FolderSource(folder).read(Media(key="PMC9.1/c.jpg", name="c.jpg")) is None

    def test_the_folder_itself_may_be_a_link(self, folder: Path) -> None:
        lay_out(folder, "PMC9", 1)
        link = folder.parent / "link"
        link.symlink_to(folder)
        source = FolderSource(link)
        assert source.read(kept(source.entry("PMC9")).xml) == XML

    def test_a_name_that_is_not_utf_8_is_passed_over(self, folder: Path) -> None:
        lay_out(folder, "PMC9", 1)
        (folder / "metadata/PMC9.1.json").unlink()
        Path(str(folder / "PMC9.1") + "/\udce9.jpg").write_bytes(b"")
        assert [item.name for item in kept(FolderSource(folder).entry("PMC9")).media] == ["a.jpg"]


def test_a_list_tells_the_licence_where_there_is_no_json(folder: Path, tmp_path: Path) -> None:
    lay_out(folder, "PMC9", 1)
    (folder / "metadata/PMC9.1.json").unlink()
    path = tmp_path / "oa_file_list.csv"
    path.write_text("File,Accession ID,License\na,PMC9,CC BY-NC\n", encoding="utf-8")
    options = SourceOptions(kind="folder", path=str(folder), list=path)
    source = open_source(options, FolderStore(tmp_path / "build"))
    assert kept(source.entry("PMC9")).listed_licence == "CC BY-NC"
