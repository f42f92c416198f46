from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dataset_builder.checks import Check, checks_document
from dataset_builder.doctor import examine
from dataset_builder.pmc.client import ClientOptions, PmcClient
from rocov2_eval.rendering.render import to_text

from s3_server import BUCKET, Bucket, serving

XML = f"s3://{BUCKET}/PMC5.3/PMC5.3.xml"


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    held = Bucket()
    with serving(held):
        yield held


def checks(bucket: Bucket) -> list[Check]:
    options = ClientOptions(base_url=bucket.url, per_second=1e6, retries=0)
    with PmcClient(options, sleep=lambda _: None) as client:
        return list(examine(client, "PMC5"))


def add(bucket: Bucket, **fields: Any) -> None:
    bucket.add_article("PMC5", 3, {"a.jpg": b"picture"}, **({"xml_url": XML} | fields))
    bucket.objects["PMC5.3/PMC5.3.xml"] = b"<article/>"


def test_a_service_as_expected_is_fine(bucket: Bucket) -> None:
    add(bucket)
    found = checks(bucket)
    assert [check.is_fine for check in found] == [True] * 4
    assert "ok  picture" in to_text(checks_document(found))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"license_code": "CC BY 9.0 new"}, "licence code"),
        ({"xml_url": None}, "full text"),
        ({"media_urls": []}, "picture"),
        ({"media_urls": [f"s3://{BUCKET}/PMC5.3/a.jpg"]}, "picture"),
        ({"media_urls": [f"s3://{BUCKET}/PMC5.3/a.jpg?md5={'0' * 32}"]}, "picture"),
        ({"is_retracted": "no"}, "listing and metadata"),
        ({"media_urls": ["https://elsewhere.example.org/a.jpg"]}, "listing and metadata"),
    ],
)
def test_what_changed_is_named(bucket: Bucket, fields: dict[str, Any], name: str) -> None:
    add(bucket, **fields)
    assert [check.name for check in checks(bucket) if not check.is_fine] == [name]


def test_an_article_without_versions_is_named(bucket: Bucket) -> None:
    assert [(check.is_fine, check.found) for check in checks(bucket)] == [(False, "PMC5 has no version")]


def test_a_listing_that_is_none_is_named(bucket: Bucket) -> None:
    bucket.faults["list:metadata/PMC5."] = [b"<html>moved</html>"]
    assert checks(bucket)[0].found == "the listing of PMC5 is a html"


def test_a_service_that_is_down_is_named(bucket: Bucket) -> None:
    bucket.faults["list:metadata/PMC5."] = [503]
    assert "status 503" in checks(bucket)[0].found
