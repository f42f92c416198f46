from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.opening import SourceOptions, open_source
from dataset_builder.pmc.client import ClientOptions, FetchFailed, PmcClient
from dataset_builder.pmc.eligibility import (
    HISTORICAL,
    MANUSCRIPT,
    NO_FULL_TEXT,
    NOT_OPEN_ACCESS,
    NOT_THERE,
    RETRACTED,
)
from dataset_builder.pmc.folder_source import FolderSource
from dataset_builder.pmc.layout import LayoutChanged
from dataset_builder.pmc.s3_source import S3Source
from dataset_builder.records import Drop, Entry, Media
from dataset_builder.store import FolderStore
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.options import read_options

from s3_server import BUCKET, Bucket, serving

XML = b"<article/>"
PICTURE = bytes(range(256)) * 400
PICTURE_KEY = "PMC12.10/a b%1.jpg"


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """Return a served bucket with one article of two versions."""
    held = Bucket()
    held.add_article("PMC12", 2, {"old.jpg": b"old"}, xml=b"<old/>")
    held.add_article("PMC12", 10, {"a b%1.jpg": PICTURE, "table.xlsx": b"x"}, xml=XML)
    with serving(held):
        yield held


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "build")


@pytest.fixture
def opened(bucket: Bucket, store: FolderStore) -> Iterator[Callable[..., S3Source]]:
    """Return an opener of the source, as each process of a build has one."""
    clients: list[PmcClient] = []

    def open_one(**options: Any) -> S3Source:
        timeout = options.pop("timeout", 5.0)
        settings = ClientOptions(base_url=bucket.url, per_second=1e6, retries=2, timeout=timeout)
        clients.append(PmcClient(settings, sleep=lambda _: None))
        return S3Source(clients[-1], store, **options)

    yield open_one
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def source(opened: Callable[..., S3Source]) -> S3Source:
    return opened()


@pytest.fixture
def picture(source: S3Source) -> Media:
    found = source.entry("PMC12")
    assert isinstance(found, Entry)
    return found.media[0]


def reason(found: Entry | Drop) -> str:
    return found.reason if isinstance(found, Drop) else "kept"


def test_the_entry_is_of_the_version_that_is_newest_by_number(source: S3Source) -> None:
    found = source.entry("PMC12")
    assert isinstance(found, Entry)
    assert (found.version, found.licence, found.xml.key, [item.name for item in found.media]) == (
        10,
        "CC BY",
        "PMC12.10/PMC12.10.xml",
        ["a b%1.jpg", "table.xlsx"],
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "kept"),
        ({"is_retracted": True}, RETRACTED),
        ({"is_historical_ocr": True}, HISTORICAL),
        ({"is_manuscript": True}, MANUSCRIPT),
        ({"is_pmc_openaccess": False}, NOT_OPEN_ACCESS),
        ({"xml_url": None}, NO_FULL_TEXT),
        ({"is_retracted": True, "is_pmc_openaccess": False}, RETRACTED),
    ],
)
def test_an_article_whose_newest_version_is_not_eligible_is_left_out(
    source: S3Source, bucket: Bucket, fields: dict[str, Any], expected: str
) -> None:
    bucket.add_article("PMC12", 11, {}, xml=XML, **fields)
    assert reason(source.entry("PMC12")) == expected


def test_an_author_manuscript_is_kept_on_request(opened: Callable[..., S3Source], bucket: Bucket) -> None:
    bucket.add_article("PMC12", 11, {}, xml=XML, is_manuscript=True)
    assert reason(opened(manuscripts=True).entry("PMC12")) == "kept"


def test_an_article_that_the_service_does_not_have_is_dropped(source: S3Source) -> None:
    assert source.entry("PMC1") == Drop(stage="articles", key="PMC1", reason=NOT_THERE)


def test_a_second_process_fetches_nothing_again(
    opened: Callable[..., S3Source], bucket: Bucket, picture: Media
) -> None:
    first = opened()
    expected = (first.entry("PMC12"), first.entry("PMC1"), first.read(picture))
    bucket.requests.clear()
    again = opened()
    assert (again.entry("PMC12"), again.entry("PMC1"), again.read(picture)) == expected
    assert bucket.requests == []


def test_what_was_fetched_lies_in_the_layout_of_a_folder_source(
    source: S3Source, store: FolderStore, picture: Media
) -> None:
    source.read(Media(key="PMC12.10/PMC12.10.xml", name="x"))
    source.read(picture)
    folder = FolderSource(store.path("cache"))
    assert (folder.candidates(), folder.entry("PMC12"), folder.read(picture)) == (
        ("PMC12",),
        source.entry("PMC12"),
        PICTURE,
    )


def test_a_picture_that_changes_while_it_is_resumed_is_fetched_anew(
    source: S3Source, bucket: Bucket, picture: Media
) -> None:
    bucket.faults[PICTURE_KEY] = ["cut", b"x" * len(PICTURE)]
    assert source.read(picture) == PICTURE


def test_without_a_sum_two_halves_are_never_put_together(source: S3Source, bucket: Bucket) -> None:
    bucket.faults[PICTURE_KEY] = ["cut"]
    assert source.read(Media(key=PICTURE_KEY, name="a")) == PICTURE
    assert [wanted for what, wanted in bucket.requests if what == PICTURE_KEY] == [None, None]


@pytest.mark.parametrize("fault", ["stall", "silent"])
@pytest.mark.parametrize("key", [PICTURE_KEY, "list:metadata/PMC12.", "metadata/PMC12.10.json"])
def test_a_service_that_falls_silent_is_asked_again(
    opened: Callable[..., S3Source], bucket: Bucket, fault: str, key: str
) -> None:
    bucket.faults[key] = [fault]
    source = opened(timeout=0.2)
    found = source.entry("PMC12")
    assert isinstance(found, Entry)
    assert source.read(found.media[0]) == PICTURE
    assert len([what for what, _ in bucket.requests if what == key]) == 2


def test_a_service_that_stays_silent_is_given_up(opened: Callable[..., S3Source], bucket: Bucket) -> None:
    bucket.faults["list:metadata/PMC12."] = ["silent"] * 9
    with pytest.raises(FetchFailed, match="after 2 retries"):
        opened(timeout=0.1).entry("PMC12")


def test_a_picture_that_is_gone_is_none_and_not_remembered(
    source: S3Source, bucket: Bucket, store: FolderStore, picture: Media
) -> None:
    bucket.faults[PICTURE_KEY] = [404]
    assert (source.read(picture), store.read(f"cache/{PICTURE_KEY}")) == (None, None)


@pytest.mark.parametrize("faults", [[403], [503] * 9, [b"other"] * 9])
def test_a_picture_that_cannot_be_had_is_a_failure_and_not_an_absence(
    source: S3Source, bucket: Bucket, store: FolderStore, picture: Media, faults: list[object]
) -> None:
    bucket.faults[PICTURE_KEY] = faults
    with pytest.raises(FetchFailed):
        source.read(picture)
    assert store.read(f"cache/{PICTURE_KEY}") is None


def test_a_listing_that_fails_is_not_remembered_as_an_absence(
    source: S3Source, bucket: Bucket, store: FolderStore
) -> None:
    bucket.faults["list:metadata/PMC12."] = [500] * 9
    with pytest.raises(FetchFailed):
        source.entry("PMC12")
    assert list(store.names("cache")) == []
    bucket.faults.clear()
    assert reason(source.entry("PMC12")) == "kept"


@pytest.mark.parametrize(
    "key", ["inventory.json", "PMC13.1/a.jpg", "PMC12.1/a.jpg", "newest/PMC12", "PMC12.100/a.jpg"]
)
def test_metadata_that_name_files_of_others_stop_everything(
    source: S3Source, bucket: Bucket, key: str
) -> None:
    bucket.add_article("PMC12", 11, {}, xml=XML, media_urls=[f"s3://{BUCKET}/{key}"])
    with pytest.raises(LayoutChanged, match=r"is not below PMC12.11/"):
        source.entry("PMC12")


def test_metadata_of_another_article_stop_everything(source: S3Source, bucket: Bucket) -> None:
    bucket.add_article("PMC13", 1, {})
    bucket.faults["metadata/PMC12.10.json"] = [bucket.objects["metadata/PMC13.1.json"]]
    with pytest.raises(LayoutChanged, match="are of PMC13"):
        source.entry("PMC12")


@pytest.mark.parametrize("choice", [b"metadata/PMC12.9.json", b"../../secret", b"\xff"])
def test_a_choice_without_what_it_chose_is_rejected(
    source: S3Source, store: FolderStore, choice: bytes
) -> None:
    store.write("cache/newest/PMC12", choice)
    with pytest.raises(RejectedInput, match="remove this file to ask again"):
        source.entry("PMC12")


class TestOpening:
    def test_a_list_says_which_articles(self, bucket: Bucket, store: FolderStore, tmp_path: Path) -> None:
        path = tmp_path / "list.txt"
        path.write_text("PMC100\n12\nPMC12\n", encoding="utf-8")
        options = SourceOptions(kind="s3", base_url=bucket.url + "/", list=path, per_second=1e6)
        source = open_source(options, store)
        assert tuple(source.candidates()) == ("PMC12", "PMC100")
        assert [reason(source.entry(pmcid)) for pmcid in source.candidates()] == ["kept", NOT_THERE]

    @pytest.mark.parametrize("code", ["CC BY", None])
    def test_the_licence_of_the_list_stands_beside_that_of_the_service(
        self, bucket: Bucket, store: FolderStore, tmp_path: Path, code: str | None
    ) -> None:
        bucket.add_article("PMC12", 11, {}, xml=XML, license_code=code)
        path = tmp_path / "list.csv"
        path.write_text("pmcid,license\nPMC12,CC BY-NC\n", encoding="utf-8")
        options = SourceOptions(kind="s3", base_url=bucket.url, list=path, per_second=1e6)
        found = open_source(options, store).entry("PMC12")
        assert isinstance(found, Entry)
        assert (found.licence, found.listed_licence) == (code, "CC BY-NC")

    def test_workers_share_the_rate(self, store: FolderStore) -> None:
        source = open_source(SourceOptions(kind="s3", inventory=True, per_second=6), store, workers=4)
        assert source._source._client._options.per_second == 1.5  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"kind": "ftp"}, "kind: 'ftp', expected 's3' or 'folder'"),
            ({"kind": "s3"}, "list or inventory = true: found neither"),
            ({"kind": "s3", "inventory": True, "list": "x"}, "found both"),
            ({"kind": "s3", "inventory": True, "path": "x"}, "path: not allowed with"),
            ({"kind": "folder"}, "path: missing"),
            (
                {"kind": "folder", "path": "x", "inventory": True},
                "inventory: not allowed with kind = 'folder'",
            ),
            (
                {"kind": "folder", "path": "x", "per_second": 1.0},
                "per_second: not allowed with kind = 'folder'",
            ),
            ({"kind": "s3", "inventory": True, "per_second": 0.0}, "per_second: 0.0, expected"),
            ({"kind": "s3", "inventory": True, "base_url": "s3://x"}, "base_url: 's3://x', expected https"),
            ({"kind": "s3", "inventory": True, "base_url": "http://[x"}, "base_url: "),
            (
                {"kind": "s3", "inventory": True, "unfetchable": "skip"},
                "unfetchable: 'skip', expected 'stop'",
            ),
        ],
    )
    def test_options_that_do_not_go_together_are_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageFault) as caught:
            read_options(SourceOptions, options, "build.toml [source]", Path())
        assert message in str(caught.value)

    def test_a_folder_that_is_none_is_refused(self, store: FolderStore, tmp_path: Path) -> None:
        with pytest.raises(UsageFault, match="is no folder"):
            open_source(SourceOptions(kind="folder", path=str(tmp_path / "absent")), store)
