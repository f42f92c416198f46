from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.pmc.client import ClientOptions, FetchFailed, PmcClient
from dataset_builder.pmc.layout import (
    LayoutChanged,
    find_media,
    media_of,
    normal_pmcid,
    read_metadata,
)
from dataset_builder.records import Media
from dataset_builder.rehydrate import FigureName, read_list, rehydrate
from rocov2_eval.errors import RejectedInput

from s3_server import Bucket, serving

PICTURE = bytes(range(256)) * 400


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """Return a served bucket with one article of two versions."""
    held = Bucket()
    held.add_article("PMC12", 2, {"old.jpg": b"old"})
    held.add_article("PMC12", 10, {"a b%1.jpg": PICTURE, "a b%1.gif": b"small", "table.xlsx": b"x"})
    held.add_article("PMC123", 99, {"other.jpg": b"other"})
    with serving(held):
        yield held


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(bucket: Bucket, waits: list[float]) -> Iterator[PmcClient]:
    options = ClientOptions(base_url=bucket.url, per_second=1e6, retries=3, timeout=5)
    with PmcClient(options, sleep=waits.append) as opened:
        yield opened


def media(bucket: Bucket, key: str) -> Media:
    content = bucket.objects[key]
    return Media(
        key=key, name=key.rpartition("/")[2], md5=hashlib.md5(content, usedforsecurity=False).hexdigest()
    )


def test_a_listing_of_several_pages_is_read_to_its_end(client: PmcClient, bucket: Bucket) -> None:
    bucket.page = 1
    found = client.newest("PMC12")
    assert found is not None
    assert found.version == 10


def test_a_file_is_fetched_whole_under_its_name(client: PmcClient, bucket: Bucket, tmp_path: Path) -> None:
    target = tmp_path / "x/a.jpg"
    assert client.fetch(media(bucket, "PMC12.10/a b%1.jpg"), target)
    assert (target.read_bytes(), [path.name for path in target.parent.iterdir()]) == (PICTURE, ["a.jpg"])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_status_that_passes_is_tried_again_after_a_wait(
    client: PmcClient, bucket: Bucket, waits: list[float], tmp_path: Path, status: int
) -> None:
    key = "PMC12.10/a b%1.jpg"
    bucket.faults[key] = [status, status]
    assert client.fetch(media(bucket, key), tmp_path / "a.jpg")
    assert [wait for wait in waits if wait >= 1] == ([3.0, 3.0] if status == 429 else [1.0, 2.0])


def test_a_body_that_breaks_off_goes_on_from_there(client: PmcClient, bucket: Bucket, tmp_path: Path) -> None:
    key = "PMC12.10/a b%1.jpg"
    bucket.faults[key] = ["cut"]
    assert client.fetch(media(bucket, key), tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == PICTURE
    ranges = [wanted for what, wanted in bucket.requests if what == key]
    assert (ranges[0], ranges[1] is not None and ranges[1] != "bytes=0-") == (None, True)


def test_a_part_left_by_a_killed_process_is_used(client: PmcClient, bucket: Bucket, tmp_path: Path) -> None:
    key = "PMC12.10/a b%1.jpg"
    (tmp_path / "a.jpg.part").write_bytes(PICTURE[:1000])
    assert client.fetch(media(bucket, key), tmp_path / "a.jpg")
    assert ((tmp_path / "a.jpg").read_bytes(), bucket.requests[-1][1]) == (PICTURE, "bytes=1000-")


@pytest.mark.parametrize("left", [b"something else" * 100, PICTURE + b"more"])
def test_a_part_of_something_else_is_thrown_away(
    client: PmcClient, bucket: Bucket, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "a.jpg.part").write_bytes(left)
    assert client.fetch(media(bucket, "PMC12.10/a b%1.jpg"), tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == PICTURE


def test_a_sum_that_never_agrees_leaves_nothing(client: PmcClient, bucket: Bucket, tmp_path: Path) -> None:
    wrong = Media(key="PMC12.10/a b%1.jpg", name="a", md5="0" * 32)
    with pytest.raises(FetchFailed, match="MD5 sum is not 000"):
        client.fetch(wrong, tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []
    assert len(bucket.requests) == 4


def test_an_object_that_is_not_there_is_told_apart_from_a_failure(client: PmcClient, tmp_path: Path) -> None:
    assert not client.fetch(Media(key="PMC12.10/none.jpg", name="none.jpg", md5=None), tmp_path / "a.jpg")


def test_a_service_that_never_answers_well_is_given_up(
    client: PmcClient, bucket: Bucket, tmp_path: Path
) -> None:
    key = "PMC12.10/a b%1.jpg"
    bucket.faults[key] = [503] * 9
    with pytest.raises(FetchFailed, match="status 503, after 3 retries"):
        client.fetch(media(bucket, key), tmp_path / "a.jpg")
    assert not (tmp_path / "a.jpg").exists()


def test_requests_keep_to_their_rate(bucket: Bucket, waits: list[float]) -> None:
    options = ClientOptions(base_url=bucket.url, per_second=0.5)
    with PmcClient(options, sleep=waits.append) as opened:
        opened.newest("PMC12")
    assert len(waits) == 1
    assert 1.9 < waits[0] <= 2.0


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"[" * 10_000, b'{"pmcid": "PMC1", "version": "1"}'],
)
def test_metadata_of_another_shape_stop_everything(content: bytes) -> None:
    with pytest.raises(LayoutChanged):
        read_metadata(content, "metadata/PMC1.1.json")


@pytest.mark.parametrize(
    "field",
    [
        {"license_code": ["CC BY", "CC BY-NC"]},
        {"license_code": {"code": "CC BY"}},
        {"license_code": False},
        {"title": ["A"]},
        {"doi": 10},
        {"xml_url": ["s3://pmc-oa-opendata/PMC1.1/PMC1.1.xml"]},
        {"media_urls": {}},
        {"media_urls": "s3://pmc-oa-opendata/PMC1.1/a.jpg"},
        {"media_urls": [None]},
    ],
)
def test_a_field_of_another_type_is_not_read_as_absent(field: dict[str, Any]) -> None:
    held = Bucket()
    held.add_article("PMC1", 1, {}, **field)
    (name,) = field
    with pytest.raises(LayoutChanged, match=rf"metadata/PMC1\.1\.json: Expected .* at `\$\.{name}"):
        read_metadata(held.objects["metadata/PMC1.1.json"], "metadata/PMC1.1.json")


@pytest.mark.parametrize("field", [{"license_code": None}, {"license_code": " "}, {"media_urls": None}])
def test_a_field_that_is_absent_says_nothing(field: dict[str, Any]) -> None:
    held = Bucket()
    held.add_article("PMC1", 1, {}, **field)
    found = read_metadata(held.objects["metadata/PMC1.1.json"], "metadata/PMC1.1.json")
    assert (found.licence, found.media) == (None if "license_code" in field else "CC BY", ())


@pytest.mark.parametrize(
    "url",
    [
        "s3://other-bucket/PMC1.1/a.jpg",
        "https://evil.example.org/PMC1.1/a.jpg",
        "s3://pmc-oa-opendata/../../etc/passwd",
        "s3://pmc-oa-opendata/",
        "s3://pmc-oa-opendata/PMC1.1/a.jpg?md5=xyz",
    ],
)
def test_an_address_that_leads_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(LayoutChanged):
        media_of(url, "k")


@pytest.mark.parametrize(("text", "expected"), [("123", "PMC123"), (" pmc0123 ", "PMC123"), ("PMC5", "PMC5")])
def test_a_pmcid_is_written_in_one_way(text: str, expected: str) -> None:
    assert normal_pmcid(text) == expected


def test_a_file_is_found_by_its_stem_the_large_picture_first(client: PmcClient) -> None:
    found = client.newest("PMC12")
    assert found is not None
    names = [
        getattr(find_media(found.media, name), "name", None)
        for name in ("a b%1.tif", "a b%1", "table", "zzz")
    ]
    assert names == ["a b%1.jpg", "a b%1.jpg", None, None]


class TestRehydrate:
    @pytest.fixture
    def outcomes(self, client: PmcClient, bucket: Bucket, tmp_path: Path) -> Callable[..., dict[str, str]]:
        bucket.add_article("PMC7", 1, {"a.jpg": b"7"}, is_retracted=True)
        bucket.add_article("PMC8", 1, {"a.jpg": b"8"}, is_pmc_openaccess=False)

        def run() -> dict[str, str]:
            wanted = [
                FigureName(pmcid="PMC12", file="a b%1.jpg"),
                FigureName(pmcid="PMC12", file="absent.jpg"),
                FigureName(pmcid="PMC7", file="a.jpg"),
                FigureName(pmcid="PMC8", file="a.jpg"),
                FigureName(pmcid="PMC404", file="a.jpg"),
            ]
            found = rehydrate(wanted, tmp_path / "out", client, lambda *_: None)
            return {f"{item.figure.pmcid}/{item.figure.file}": item.outcome for item in found}

        return run

    def test_every_row_has_its_outcome(self, outcomes: Callable[..., dict[str, str]], tmp_path: Path) -> None:
        assert outcomes() == {
            "PMC12/a b%1.jpg": "fetched",
            "PMC12/absent.jpg": "no such file",
            "PMC7/a.jpg": "retracted",
            "PMC8/a.jpg": "not open access",
            "PMC404/a.jpg": "no article",
        }
        assert (tmp_path / "out/PMC12/a b%1.jpg").read_bytes() == PICTURE
        assert (tmp_path / "out/rehydrated.csv").read_text(encoding="utf-8").count("\n") == 6

    def test_a_second_time_nothing_is_fetched(
        self, outcomes: Callable[..., dict[str, str]], bucket: Bucket
    ) -> None:
        outcomes()
        bucket.requests.clear()
        assert outcomes()["PMC12/a b%1.jpg"] == "was here"
        assert not [what for what, _ in bucket.requests if what.endswith(".jpg")]

    def test_a_file_under_three_names_is_fetched_once(
        self, client: PmcClient, bucket: Bucket, tmp_path: Path
    ) -> None:
        wanted = [FigureName(pmcid="PMC12", file=name) for name in ("a b%1", "a b%1.tif", "a b%1.jpg")]
        found = [rehydrate(wanted, tmp_path / "out", client, lambda *_: None) for _ in range(2)]
        assert [[item.outcome for item in each] for each in found] == [["fetched"] * 3, ["was here"] * 3]
        assert {item.key for item in found[1]} == {"PMC12.10/a b%1.jpg", None}
        assert [what for what, _ in bucket.requests].count("PMC12.10/a b%1.jpg") == 1


@pytest.mark.parametrize(
    ("text", "code", "line", "message"),
    [
        ("", "R009", None, "no row, expected at least one figure"),
        ("pmcid,graphic\n", "R009", None, "no row"),
        ("a,b\n1,2\n", "R009", 1, "expected a column pmcid and graphic, found a, b"),
        ("pmcid,graphic\nPMCx,a.jpg\n", "R113", 2, "'PMCx' is no PMCID, expected PMC and digits"),
        (f"pmcid,graphic\nPMC{'1' * 4000},a.jpg\n", "R113", 2, "is no PMCID"),
        ("pmcid,graphic\nPMC1,../a.jpg\n", "R113", 2, "'../a.jpg' is no file name"),
        ("pmcid,graphic\nPMC1,\n", "R113", 2, "'' is no file name"),
        ("pmcid,graphic\nPMC1,a\0.jpg\n", "R113", 2, "is no file name"),
        (f"pmcid,graphic\nPMC1,{'x' * 5000}\n", "R113", 2, "has more than 250 bytes"),
    ],
)
def test_a_list_that_is_none_says_what_is_wrong(
    tmp_path: Path, text: str, code: str, line: int | None, message: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RejectedInput) as caught:
        read_list(path, "pmcid", "graphic")
    (found,) = caught.value.findings
    assert (found.code, found.line, message in found.message) == (code, line, True)


def test_a_list_of_something_else_does_not_flood_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("pmcid,graphic\n" + "x,y\n" * 1000, encoding="utf-8")
    with pytest.raises(RejectedInput) as caught:
        read_list(path, "pmcid", "graphic")
    assert len(caught.value.findings) == 20


def test_the_list_of_roco_is_read_as_it_is(shared: Path) -> None:
    wanted = read_list(shared / "data/roco/figures.csv", "pmcid", "graphic")
    assert (len(wanted), wanted[0]) == (22_463, FigureName(pmcid="PMC4608653", file="cro-0008-0385-g01.jpg"))


@pytest.mark.parametrize(
    ("there", "asked", "expected"),
    [
        (["A.JPG"], "a.jpg", "A.JPG"),
        (["A.JPG"], "a", "A.JPG"),
        (["A.JPG", "A.TIF"], "a", "A.JPG"),
        (["A.JPG", "a.jpg"], "a.jpg", "a.jpg"),
        (["A.JPG", "a.JPG"], "a.jpg", "a.JPG"),
        (["A.JPG", "A.jpg"], "a.jpg", None),
        (["B1.JPG", "b1.jpg"], "B1", "B1.JPG"),
        (["aB.jpg", "Ab.jpg"], "ab", None),
        (["table.PDF"], "table.jpg", None),
    ],
)
def test_capitals_of_a_file_name_count_only_where_they_tell_files_apart(
    there: list[str], asked: str, expected: str | None
) -> None:
    found = find_media([Media(key=name, name=name) for name in there], asked)
    assert expected == (found.name if found else None)
