from __future__ import annotations

import csv
import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.pmc.eligibility import NO_FULL_TEXT, NOT_THERE, RETRACTED
from dataset_builder.pmc.opening import SourceOptions, open_source
from dataset_builder.pmc.package_archive import Limits
from dataset_builder.pmc.packages import DAMAGED, HOSTILE, SEVERAL, PackageSource
from dataset_builder.records import Drop, Entry, Media
from dataset_builder.store import FolderStore
from rocov2_eval.errors import RejectedInput

FILES = {
    "PMC9/article.nxml": b"<article/>",
    "PMC9/a.jpg": bytes(range(256)) * 8,
    "PMC9/a.gif": b"small",
    "PMC9/supplement.pdf": b"x" * 5000,
}
SMALL = Limits(members=8, member_bytes=4096, kept_bytes=6000, unpacked_bytes=100_000)


def tar_of(files: Mapping[str, bytes], *special: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar, not yet gzipped, with special members at its end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in special:
            archive.addfile(member)
    return buffer.getvalue()


def special(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for field, value in fields.items():
        setattr(member, field, value)
    return member


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "oa_package"
    path.mkdir()
    return path


@pytest.fixture
def entry(folder: Path) -> Callable[..., Entry | Drop]:
    """Return a reader of the entry that a package of this content gives."""

    def read(content: bytes, limits: Limits = SMALL) -> Entry | Drop:
        (folder / "PMC9.tar.gz").write_bytes(content)
        return PackageSource(folder, limits=limits).entry("PMC9")

    return read


def pack(path: Path, files: Mapping[str, bytes] = FILES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(tar_of(files), mtime=0))


def kept(found: Entry | Drop) -> Entry:
    assert isinstance(found, Entry), found
    return found


def reason(found: Entry | Drop) -> str:
    return found.reason if isinstance(found, Drop) else "kept"


def test_packages_are_found_anywhere_below_the_folder(folder: Path) -> None:
    for name in ("08/e0/PMC13900.tar.gz", "PMC9.tar.gz", "x/PMC10.tar.gz"):
        pack(folder / name)
    (folder / "PMC8.tar").write_bytes(b"")
    (folder / "PMC7.tar.gz.part").write_bytes(b"")
    assert PackageSource(folder).candidates() == ("PMC9", "PMC10", "PMC13900")


def test_an_entry_has_the_text_and_the_pictures_of_a_package(folder: Path) -> None:
    pack(folder / "08/e0/PMC9.tar.gz")
    found = kept(PackageSource(folder).entry("PMC9"))
    assert found == Entry(
        pmcid="PMC9",
        xml=Media(key="08/e0/PMC9.tar.gz!/PMC9/article.nxml", name="article.nxml"),
        media=(
            Media(key="08/e0/PMC9.tar.gz!/PMC9/a.gif", name="a.gif"),
            Media(key="08/e0/PMC9.tar.gz!/PMC9/a.jpg", name="a.jpg"),
        ),
    )


def test_the_files_of_a_package_are_read_as_they_are(folder: Path) -> None:
    pack(folder / "08/e0/PMC9.tar.gz")
    source = PackageSource(folder)
    found = kept(source.entry("PMC9"))
    assert [source.read(item) for item in (found.xml, *found.media)] == [
        FILES["PMC9/article.nxml"],
        FILES["PMC9/a.gif"],
        FILES["PMC9/a.jpg"],
    ]


def test_a_file_is_read_by_a_process_that_never_saw_the_entry(folder: Path) -> None:
    pack(folder / "PMC9.tar.gz")
    media = kept(PackageSource(folder).entry("PMC9")).media[1]
    assert PackageSource(folder).read(media) == FILES["PMC9/a.jpg"]


def test_a_package_is_unpacked_once_for_all_its_pictures(folder: Path) -> None:
    pack(folder / "PMC9.tar.gz")
    source = PackageSource(folder)
    found = kept(source.entry("PMC9"))
    (folder / "PMC9.tar.gz").write_bytes(b"")
    assert source.read(found.media[1]) == FILES["PMC9/a.jpg"]


@pytest.mark.parametrize(
    "key",
    ["PMC9.tar.gz!/PMC9/b.jpg", "PMC8.tar.gz!/x", "../PMC9.tar.gz!/PMC9/a.jpg", "PMC9.tar.gz", "", "a!/b"],
)
def test_a_file_that_no_package_holds_is_none(folder: Path, key: str) -> None:
    pack(folder / "PMC9.tar.gz")
    pack(folder.parent / "PMC9.tar.gz")
    assert PackageSource(folder).read(Media(key=key, name="x")) is None


def test_two_packages_of_one_article_are_neither_taken(folder: Path) -> None:
    pack(folder / "a/PMC9.tar.gz")
    pack(folder / "b/PMC9.tar.gz")
    found = PackageSource(folder).entry("PMC9")
    assert found == Drop(stage="articles", key="PMC9", reason=SEVERAL, detail="a/PMC9.tar.gz, b/PMC9.tar.gz")


def test_an_article_without_a_package_is_dropped(folder: Path) -> None:
    assert reason(PackageSource(folder).entry("PMC9")) == NOT_THERE


@pytest.mark.parametrize("texts", [[], ["PMC9/a.nxml", "PMC9/b.nxml"]])
def test_a_package_without_the_one_text_is_dropped(folder: Path, texts: list[str]) -> None:
    pack(folder / "PMC9.tar.gz", {"PMC9/a.jpg": b"x"} | dict.fromkeys(texts, b"<article/>"))
    assert reason(PackageSource(folder).entry("PMC9")) == NO_FULL_TEXT


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_usual_form_of_tar_is_read(entry: Callable[..., Entry | Drop], form: int) -> None:
    name = f"PMC9/{'f' * 90}.jpg"
    found = entry(gzip.compress(tar_of({**FILES, name: b"x"}, form=form)))
    assert [item.name for item in kept(found).media] == ["a.gif", "a.jpg", name.removeprefix("PMC9/")]


def test_a_folder_among_the_members_is_passed_over(entry: Callable[..., Entry | Drop]) -> None:
    assert reason(entry(gzip.compress(tar_of(FILES, special("PMC9/", tarfile.DIRTYPE))))) == "kept"


class TestDamagedPackages:
    WHOLE = gzip.compress(tar_of(FILES), mtime=0)

    @pytest.mark.parametrize("length", [0, 1, 10, 100, len(WHOLE) // 2, len(WHOLE) - 9, len(WHOLE) - 1])
    def test_a_package_that_breaks_off_is_dropped(
        self, entry: Callable[..., Entry | Drop], length: int
    ) -> None:
        assert reason(entry(self.WHOLE[:length])) == DAMAGED

    @pytest.mark.parametrize("length", [511, 1024, 1100, 2000, 3000])
    def test_a_tar_that_breaks_off_inside_a_whole_gzip_is_dropped(
        self, entry: Callable[..., Entry | Drop], length: int
    ) -> None:
        assert reason(entry(gzip.compress(tar_of(FILES)[:length]))) == DAMAGED

    @pytest.mark.parametrize("at", range(12, len(WHOLE), 17))
    def test_a_changed_byte_never_goes_unnoticed(self, entry: Callable[..., Entry | Drop], at: int) -> None:
        changed = bytearray(self.WHOLE)
        changed[at] ^= 0x55
        assert reason(entry(bytes(changed))) in {DAMAGED, HOSTILE}

    def test_a_header_that_is_broken_later_on_is_no_end(self, entry: Callable[..., Entry | Drop]) -> None:
        content = bytearray(tar_of(FILES))
        content[1024:1034] = b"\xff" * 10
        assert reason(entry(gzip.compress(content))) == DAMAGED

    @pytest.mark.parametrize("content", [b"", b"no gzip at all", b"PK\3\4"])
    def test_a_file_of_something_else_is_dropped(
        self, entry: Callable[..., Entry | Drop], content: bytes
    ) -> None:
        assert reason(entry(content)) == DAMAGED

    def test_reading_from_a_package_damaged_meanwhile_is_rejected(self, folder: Path) -> None:
        pack(folder / "PMC9.tar.gz")
        media = kept(PackageSource(folder).entry("PMC9")).xml
        (folder / "PMC9.tar.gz").write_bytes(self.WHOLE[:50])
        with pytest.raises(RejectedInput, match=r"PMC9\.tar\.gz: gzip: "):
            PackageSource(folder).read(media)


class TestHostilePackages:
    @pytest.mark.parametrize(
        "member",
        [
            special("../evil.jpg"),
            special("PMC9/../../evil.jpg"),
            special("/etc/evil.jpg"),
            special("PMC9/a2.jpg", tarfile.SYMTYPE, linkname="/etc/passwd"),
            special("PMC9/a2.jpg", tarfile.LNKTYPE, linkname="../../etc/passwd"),
            special("PMC9/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
            special("PMC9/disk", tarfile.BLKTYPE, devmajor=8),
            special("PMC9/pipe", tarfile.FIFOTYPE),
            special("PMC9/odd", b"Z"),
        ],
    )
    def test_what_no_article_holds_is_dropped(
        self, entry: Callable[..., Entry | Drop], member: tarfile.TarInfo, tmp_path: Path
    ) -> None:
        found = entry(gzip.compress(tar_of(FILES, member)))
        assert (reason(found), sorted(path.name for path in tmp_path.rglob("*"))) == (
            HOSTILE,
            ["PMC9.tar.gz", "oa_package"],
        )

    def test_too_many_members_are_dropped(self, entry: Callable[..., Entry | Drop]) -> None:
        files = FILES | {f"PMC9/{number}.txt": b"" for number in range(5)}
        assert reason(entry(gzip.compress(tar_of(files)))) == HOSTILE

    def test_a_picture_beyond_the_limit_is_dropped(self, entry: Callable[..., Entry | Drop]) -> None:
        assert reason(entry(gzip.compress(tar_of(FILES | {"PMC9/b.jpg": b"x" * 4097})))) == HOSTILE

    def test_pictures_beyond_the_limit_together_are_dropped(self, entry: Callable[..., Entry | Drop]) -> None:
        assert reason(entry(gzip.compress(tar_of(FILES | {"PMC9/b.jpg": b"x" * 4000})))) == HOSTILE

    def test_a_supplement_may_be_larger_than_a_picture(self, entry: Callable[..., Entry | Drop]) -> None:
        assert reason(entry(gzip.compress(tar_of(FILES | {"PMC9/film.mp4": b"x" * 50_000})))) == "kept"

    @pytest.mark.parametrize("name", ["PMC9/b.jpg", "PMC9/film.mp4", "PMC9/"])
    @pytest.mark.parametrize("size", [1 << 40, 1 << 62, -512, -(1 << 40)])
    def test_a_declared_size_that_is_no_size_is_dropped(
        self, entry: Callable[..., Entry | Drop], name: str, size: int
    ) -> None:
        member = special(name, size=size)
        header = member.tobuf(format=tarfile.GNU_FORMAT)
        content = tar_of(FILES).rstrip(b"\0")
        content += b"\0" * (-len(content) % 512) + header + b"\0" * 1024
        assert reason(entry(gzip.compress(content))) in {HOSTILE, DAMAGED}

    @pytest.mark.parametrize("where", ["in a supplement", "after the end"])
    def test_a_bomb_is_dropped_in_little_memory(self, entry: Callable[..., Entry | Drop], where: str) -> None:
        zeros = bytes(64 << 20)
        if where == "in a supplement":
            content = gzip.compress(tar_of(FILES | {"PMC9/film.mp4": zeros}), compresslevel=1)
        else:
            content = gzip.compress(tar_of(FILES) + zeros, compresslevel=1)
        del zeros
        tracemalloc.start()
        found = entry(content)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (reason(found), most < 8 << 20) == (HOSTILE, True)

    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
    def test_an_extension_header_that_is_a_bomb_is_dropped(
        self, entry: Callable[..., Entry | Drop], kind: bytes
    ) -> None:
        header = special("x", kind, size=32 << 20).tobuf(format=tarfile.GNU_FORMAT)
        assert reason(entry(gzip.compress(header + bytes(32 << 20)), Limits())) == HOSTILE

    def test_extension_headers_without_end_are_dropped(self, entry: Callable[..., Entry | Drop]) -> None:
        header = special("x", tarfile.GNUTYPE_LONGNAME, size=2).tobuf(format=tarfile.GNU_FORMAT)
        content = (header + b"y\0".ljust(512, b"\0")) * 5000
        assert reason(entry(gzip.compress(content), Limits())) == HOSTILE

    def test_a_file_with_holes_is_dropped(self, entry: Callable[..., Entry | Drop]) -> None:
        member = special("PMC9/b.jpg", size=0)
        member.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40)}
        assert reason(entry(gzip.compress(tar_of(FILES, member)))) == HOSTILE

    def test_a_package_that_is_a_link_out_is_dropped(self, folder: Path) -> None:
        pack(folder.parent / "elsewhere.tar.gz")
        (folder / "PMC9.tar.gz").symlink_to(folder.parent / "elsewhere.tar.gz")
        assert reason(PackageSource(folder).entry("PMC9")) == HOSTILE


class TestWithAList:
    def test_only_its_articles_are_candidates_with_its_licences(self, folder: Path, tmp_path: Path) -> None:
        for pmcid in ("PMC9", "PMC10", "PMC11"):
            pack(folder / f"00/00/{pmcid}.tar.gz")
        path = tmp_path / "oa_file_list.csv"
        path.write_text(
            "File,Article Citation,Accession ID,Last Updated (YYYY-MM-DD HH:MM:SS),PMID,License,Retracted\n"
            "oa_package/00/00/PMC10.tar.gz,A,PMC10,2020-01-01 00:00:00,,CC BY,no\n"
            "oa_package/00/00/PMC9.tar.gz,A,PMC9,2020-01-01 00:00:00,1,CC BY-NC,yes\n",
            encoding="utf-8",
        )
        options = SourceOptions(kind="packages", path=str(folder), list=path)
        source = open_source(options, FolderStore(tmp_path / "build"))
        assert source.candidates() == ("PMC9", "PMC10")
        assert reason(source.entry("PMC9")) == RETRACTED
        assert kept(source.entry("PMC10")).licence == "CC BY"


def test_the_packages_of_roco_are_found_under_their_names(shared: Path, folder: Path) -> None:
    with (shared / "data/roco/figures.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for _, row in zip(range(200), csv.DictReader(file), strict=False)]
    for row in rows:
        path = folder.parent / row["oa_path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    expected = sorted({row["pmcid"] for row in rows}, key=lambda pmcid: int(pmcid[3:]))
    assert PackageSource(folder).candidates() == tuple(expected)
