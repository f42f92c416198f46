from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dataset_builder.pmc.client import ClientOptions, FetchFailed, PmcClient
from dataset_builder.pmc.inventory import CHOICE, NUMBERS, forget_inventory, inventory_numbers
from dataset_builder.pmc.layout import LayoutChanged, manifest_key
from dataset_builder.pmc.s3_source import S3Source
from dataset_builder.store import FolderStore
from rocov2_eval.errors import RejectedInput

from s3_server import Bucket, serving

TODAY = date(2026, 9, 9)
KEYS = ["metadata/PMC9.2.json", "metadata/PMC9.10.json", "metadata/PMC123.1.json"]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with serving(Bucket()) as held:
        yield held


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "build")


@pytest.fixture
def client(bucket: Bucket) -> Iterator[PmcClient]:
    options = ClientOptions(base_url=bucket.url, per_second=1e6, retries=2, timeout=5)
    with PmcClient(options, sleep=lambda _: None) as opened:
        yield opened


@pytest.fixture
def numbers(client: PmcClient, store: FolderStore) -> Any:
    """Return a reader of the inventory of the day."""

    def read(today: date = TODAY) -> list[int]:
        return inventory_numbers(client, store, today=today).tolist()

    return read


def test_each_article_is_named_once_in_the_order_of_numbers(bucket: Bucket, numbers: Any) -> None:
    bucket.add_inventory(TODAY, KEYS, ["metadata/PMC10.1.json", KEYS[0]])
    assert numbers() == [9, 10, 123]


def test_the_source_offers_all_articles_of_the_inventory(
    bucket: Bucket, client: PmcClient, store: FolderStore
) -> None:
    bucket.add_inventory(TODAY, KEYS)
    assert tuple(S3Source(client, store, today=lambda: TODAY).candidates()) == ("PMC9", "PMC123")


def test_a_key_spelt_as_in_an_address_is_understood(bucket: Bucket, numbers: Any) -> None:
    bucket.add_inventory(TODAY, ["metadata%2FPMC5.1.json"])
    assert numbers() == [5]


def test_the_column_of_keys_is_found_by_its_name(bucket: Bucket, numbers: Any) -> None:
    bucket.add_inventory(TODAY, KEYS, fileSchema="Key, Bucket, LastModifiedDate, ETag")
    with pytest.raises(LayoutChanged, match="3 of 3 keys are no metadata"):
        numbers()


@pytest.mark.parametrize("days", [0, 1, 8])
def test_the_newest_inventory_of_the_last_days_is_taken(bucket: Bucket, numbers: Any, days: int) -> None:
    bucket.add_inventory(date(2026, 9, 9 - days), KEYS[:1])
    bucket.add_inventory(date(2026, 8, 31), KEYS[2:])
    assert numbers() == [9]


def test_an_older_inventory_is_not_taken(bucket: Bucket, numbers: Any) -> None:
    bucket.add_inventory(date(2026, 8, 31), KEYS)
    with pytest.raises(LayoutChanged, match=r"no inventory from .*2026-09-01T01-00Z.* to 2026-09-09"):
        numbers()


def test_the_same_build_takes_the_same_inventory_again(
    bucket: Bucket, numbers: Any, store: FolderStore
) -> None:
    bucket.add_inventory(date(2026, 9, 8), KEYS[:1])
    before = numbers()
    bucket.add_inventory(TODAY, KEYS)
    store.remove(NUMBERS)  # as if the process had been killed while it read the parts
    assert (numbers(), store.read(CHOICE)) == (before, manifest_key(date(2026, 9, 8)).encode())


def test_a_finished_inventory_is_not_fetched_again(bucket: Bucket, numbers: Any) -> None:
    bucket.add_inventory(TODAY, KEYS)
    before = numbers()
    bucket.objects.clear()
    bucket.requests.clear()
    assert (numbers(date(2026, 10, 30)), bucket.requests) == (before, [])


def test_a_choice_that_was_forgotten_is_made_anew(bucket: Bucket, numbers: Any, store: FolderStore) -> None:
    bucket.add_inventory(date(2026, 9, 8), KEYS[:1])
    numbers()
    bucket.add_inventory(TODAY, KEYS[2:])
    forget_inventory(store)
    assert numbers() == [123]


def test_an_inventory_that_is_kept_no_more_says_what_to_do(
    bucket: Bucket, numbers: Any, store: FolderStore
) -> None:
    bucket.add_inventory(TODAY, KEYS)
    numbers()
    store.remove(NUMBERS)
    bucket.objects.clear()
    with pytest.raises(FetchFailed, match=r"remove cache/inventory from the build"):
        numbers()


def test_a_part_whose_sum_never_agrees_is_given_up_and_nothing_is_saved(
    bucket: Bucket, numbers: Any, store: FolderStore
) -> None:
    bucket.add_inventory(TODAY, KEYS)
    part = next(key for key in bucket.objects if key.endswith(".csv.gz"))
    bucket.objects[part] += b"x"
    with pytest.raises(FetchFailed, match="MD5 sum"):
        numbers()
    assert store.read(NUMBERS) is None


def test_a_part_that_is_not_there_is_a_failure(bucket: Bucket, numbers: Any) -> None:
    bucket.add_inventory(TODAY, KEYS)
    del bucket.objects[next(key for key in bucket.objects if key.endswith(".csv.gz"))]
    with pytest.raises(FetchFailed, match="the manifest names it"):
        numbers()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fileFormat": "ORC"}, "'ORC' - at `$.fileFormat`"),
        ({"fileSchema": "Bucket, Name"}, "expected a column Key"),
        ({"fileSchema": None}, "at `$.fileSchema`"),
        ({"fileSchema": "Bucket, Key, ETag"}, ":1: 4 columns, expected 3"),
        ({"files": []}, "at `$.files`"),
        ({"files": [{"key": "a.csv.gz"}]}, "missing required field `MD5checksum`"),
        ({"files": [{"key": "a.parquet", "MD5checksum": "0" * 32}]}, "at `$.files[0].key`"),
        ({"files": [{"key": "../a.csv.gz", "MD5checksum": "0" * 32}]}, "expected a key below the bucket"),
        ({"files": ["a"]}, "at `$.files[0]`"),
    ],
)
def test_a_manifest_of_another_shape_stops_everything(
    bucket: Bucket, numbers: Any, fields: dict[str, Any], message: str
) -> None:
    bucket.add_inventory(TODAY, KEYS, **fields)
    with pytest.raises(LayoutChanged) as caught:
        numbers()
    assert message in str(caught.value)


def test_a_few_unknown_keys_are_passed_over(bucket: Bucket, numbers: Any) -> None:
    bucket.add_inventory(TODAY, ["metadata/", *(f"metadata/PMC{n}.1.json" for n in range(1, 201))])
    assert len(numbers()) == 200


def test_an_empty_inventory_stops_everything(bucket: Bucket, numbers: Any) -> None:
    bucket.add_inventory(TODAY, [])
    with pytest.raises(LayoutChanged, match="contains no article"):
        numbers()


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"a,metadata/PMC1.1.json,b,c\n")[:-9]], ids=["text", "cut off"]
)
def test_a_part_that_is_no_whole_gzip_stops_everything(bucket: Bucket, numbers: Any, content: bytes) -> None:
    manifest = bucket.add_inventory(TODAY, KEYS)
    document = json.loads(bucket.objects[manifest])
    bucket.objects[document["files"][0]["key"]] = content
    document["files"][0]["MD5checksum"] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    bucket.objects[manifest] = json.dumps(document).encode()
    with pytest.raises(LayoutChanged, match="expected gzipped CSV"):
        numbers()


def test_a_damaged_memory_of_the_articles_is_rejected(
    bucket: Bucket, numbers: Any, store: FolderStore
) -> None:
    bucket.add_inventory(TODAY, KEYS)
    numbers()
    store.write(NUMBERS, b"x")
    with pytest.raises(RejectedInput, match="remove it to read the inventory again"):
        numbers()
