"""Describe a dataset as Croissant 1.1: JSON-LD with its files, their sums and the columns of its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from dataset_builder.packaging.card import Facts
from dataset_builder.packaging.tables import ATTRIBUTION_HEADER

_CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_FORMATS = {".csv": "text/csv", ".parquet": "application/x-parquet", ".zip": "application/zip"}
_LISTED = ("captions", "concepts", "concepts_manual")


def croissant(facts: Facts, sums: Mapping[str, str]) -> str:
    """Return the description as JSON-LD.

    Args:
        facts: What may be told of the dataset.
        sums: SHA-256 by name of the files that are there; tables, archives and Parquet files are described.
    """
    options, seen = facts.options, facts.seen
    described = {name: digest for name, digest in sums.items() if _media_type(name)}
    document: dict[str, Any] = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": _CONFORMS_TO,
        "name": options.name,
        "alternateName": options.title,
        "description": options.description or options.title,
        "version": options.version,
        "license": facts.licence.url or "attribution.csv",
        "keywords": ["radiology"] * seen.is_radiology
        + ["image captioning"]
        + ["UMLS"] * bool(facts.concepts),
        "citeAs": options.citation or f"{options.title}, version {options.version}",
    }
    if seen.is_english:
        document["inLanguage"] = "en"
    if options.url:
        document["url"] = options.url
    if options.published:
        document["datePublished"] = options.published
    if options.creators:
        document["creator"] = [{"@type": "sc:Organization", "name": name} for name in options.creators]
    origin = "Images of the authors" if facts.is_own else "Figures from articles"
    origin += " of PubMed Central" * (seen.is_pmc and not facts.is_own)
    document["rai:dataCollection"] = " ".join([f"{origin} with their captions.", *facts.statements])
    limits = [] if facts.is_own else ["Published figures are no sample of clinical practice."]
    limits += [f"{seen.errors}."] * bool(seen.errors)
    if limits:
        document["rai:dataLimitations"] = " ".join(limits)
    document["distribution"] = [*_file_objects(described), *_image_sets(described)]
    document["recordSet"] = list(_record_sets(described))
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


@cache
def _context() -> dict[str, Any]:
    """Return what Croissant asks every file to begin with."""
    path = files("dataset_builder.packaging") / "templates/croissant_context.json"
    context: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return context


def _media_type(name: str) -> str:
    return next((kind for suffix, kind in _FORMATS.items() if name.endswith(suffix)), "")


def _file_objects(sums: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, digest in sorted(sums.items()):
        yield {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": _media_type(name),
            "sha256": digest,
        }


def _image_sets(sums: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name in sorted(sums):
        if name.endswith("_images.zip"):
            split = name.removesuffix("_images.zip")
            yield {
                "@type": "cr:FileSet",
                "@id": f"{split}-images",
                "name": f"{split}-images",
                "containedIn": {"@id": name},
                "encodingFormat": "image/jpeg",
                "includes": f"{split}/*.jpg",
            }


def _record_sets(sums: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name in sorted(sums):
        table = name.removesuffix(".csv").partition("_")[2]
        if name.endswith(".parquet"):
            yield _parquet_records(name)
        elif name == "cui_mapping.csv":
            yield _table_records(name, ("CUI", "Canonical name"))
        elif name == "license_information.csv":
            yield _table_records(name, ("ID", "PMCID", "Attribution", "Link"))
        elif name == "attribution.csv":
            yield _table_records(name, ATTRIBUTION_HEADER)
        elif table in _LISTED:
            yield _table_records(name, ("ID", "Caption" if table == "captions" else "CUIs"))
        elif table == "images" and name.endswith(".csv"):
            yield _table_records(name, ("ID",))


def _table_records(name: str, columns: tuple[str, ...]) -> dict[str, Any]:
    record_set = name.removesuffix(".csv")
    return {
        "@type": "cr:RecordSet",
        "@id": record_set,
        "name": record_set,
        "key": {"@id": f"{record_set}/{columns[0]}"},
        "field": [_field(record_set, name, column) for column in columns],
    }


def _parquet_records(name: str) -> dict[str, Any]:
    record_set = name.removeprefix("data/").removesuffix(".parquet")
    image = _field(record_set, name, "image", kind="sc:ImageObject")
    image["source"]["transform"] = {"jsonPath": "bytes"}
    fields = [image, _field(record_set, name, "image_id")]
    return {"@type": "cr:RecordSet", "@id": record_set, "name": record_set, "field": fields}


def _field(record_set: str, name: str, column: str, kind: str = "sc:Text") -> dict[str, Any]:
    place = f"{record_set}/{column.replace(' ', '_')}"  # readers refuse blanks in an @id
    return {
        "@type": "cr:Field",
        "@id": place,
        "name": place,
        "dataType": kind,
        "source": {"fileObject": {"@id": name}, "extract": {"column": column}},
    }
