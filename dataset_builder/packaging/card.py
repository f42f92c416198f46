"""Write what people read first: the dataset card, and the README of the held-out truth."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from dataset_builder.packaging.facts import Facts
from dataset_builder.packaging.options import PackageOptions
from dataset_builder.packaging.parquet import ParquetSplit, features

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"


def dataset_card(facts: Facts) -> str:
    """Return the card: YAML front matter for the Hugging Face Hub, then Markdown."""
    matter = yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True, width=110)
    values = {"facts": facts, "options": facts.options, "held_out": facts.options.held_out}
    text = _environment().get_template("card.md").render(total=sum(facts.images.values()), **values)
    return f"---\n{matter}---\n\n{text}"


def truth_readme(options: PackageOptions, images: int) -> str:
    """Return the README of the archive of the held-out truth of so many images."""
    template = _environment().get_template("truth.md")
    return template.render(options=options, split=options.held_out, images=images)


def _front_matter(facts: Facts) -> dict[str, Any]:
    options = facts.options
    matter: dict[str, Any] = {"pretty_name": options.title, "license": facts.licence.code}
    if facts.licence.code == "other":
        matter |= {"license_name": "per-image", "license_link": "attribution.csv"}
    matter |= {
        "language": ["en"],
        "task_categories": ["image-to-text", "image-classification"],
        "tags": ["medical", "radiology", "image-captioning", "umls"],
        "size_categories": [_size(sum(facts.images.values()))],
    }
    configs = [group for group in _configs(facts) if group[1]]
    if configs:
        matter["configs"] = [
            {
                "config_name": name,
                "data_files": [
                    {"split": split.name, "path": f"data/{split.name}-*.parquet"} for split in splits
                ],
            }
            for name, splits in configs
        ]
        matter["dataset_info"] = [
            _dataset_info(name, splits, is_held_out=name != "default") for name, splits in configs
        ]
    return matter


def _configs(facts: Facts) -> Iterator[tuple[str, list[ParquetSplit]]]:
    """Yield the groups of splits that have the same columns: a held-out split has fewer."""
    held_out = facts.options.held_out
    yield "default", [split for split in facts.parquet if split.name != held_out]
    yield "held_out", [split for split in facts.parquet if split.name == held_out]


def _dataset_info(name: str, splits: Sequence[ParquetSplit], *, is_held_out: bool) -> dict[str, Any]:
    columns = []
    for column, kind in features(is_held_out=is_held_out).items():
        if kind["_type"] == "Image":
            columns.append({"name": column, "dtype": "image"})
        elif kind["_type"] == "Sequence":
            columns.append({"name": column, "sequence": kind["feature"]["dtype"]})
        else:
            columns.append({"name": column, "dtype": kind["dtype"]})
    return {
        "config_name": name,
        "features": columns,
        "splits": [
            {"name": split.name, "num_bytes": split.content_bytes, "num_examples": split.rows}
            for split in splits
        ],
        "download_size": sum(split.file_bytes for split in splits),
        "dataset_size": sum(split.content_bytes for split in splits),
    }


def _size(n: int) -> str:
    return next((name for most, name in _SIZES if n < most), _LARGEST)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dataset_builder.packaging", "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  Markdown
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = _plain
    return environment


def _plain(text: str) -> str:
    """Return text on one line, as a cell of a Markdown table."""
    return re.sub(r"([|<`])", r"\\\1", " ".join(text.split()))
