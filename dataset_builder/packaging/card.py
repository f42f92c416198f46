"""What people read first: the dataset card, and the README of the held-out truth."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from dataset_builder.packaging.options import PackageOptions
from dataset_builder.packaging.parquet import ParquetSplit, features
from dataset_builder.records import Figure, StageCount

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_MORE_LIKELY = 0.5  # a probability of more is more likely than not
_LARGEST = "1M<n<10M"
_OPEN = frozenset({"CC BY", "CC0", "PUBLIC DOMAIN"})


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Under which licence a dataset as a whole stands.

    Attributes:
        code: Name of the licence on the Hugging Face Hub.
        name: Name of the licence for people.
        url: Address of the licence; empty where each image has a licence of its own.
    """

    code: str
    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was done to all images, as their own records have it.

    Attributes:
        is_pmc: Each is from an article that has a PMCID.
        is_radiology: A filter judged each to be a radiology image.
        is_filtered: A filter judged each, for one thing or another.
        is_english: Most captions are more probably English than not.
        is_annotated: Somebody said the modality of one image at least.
        has_automatic: One image at least has an automatic concept.
    """

    is_pmc: bool = False
    is_radiology: bool = False
    is_filtered: bool = False
    is_english: bool = False
    is_annotated: bool = False
    has_automatic: bool = False

    @property
    def errors(self) -> str:
        """What makes errors, as a sentence; empty where nothing decided by itself."""
        makers = ["filters"] * self.is_filtered + ["automatic concepts"] * self.has_automatic
        return f"{' and '.join(makers).capitalize()} make errors" if makers else ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What may be told of a dataset.

    Attributes:
        options: Names of the dataset, and what is held out.
        licence: Licence of the dataset as a whole.
        images: Number of images by split, in the order of the splits.
        licences: Number of images by licence code, without the held-out split; the most frequent first.
        concepts: Number of different concepts, without the held-out split.
        is_own: Whether the images are of the makers' own, not from articles.
        concepts_origin: Where the concepts come from, in words; empty where nobody says it.
        statements: What the stages did, in sentences of theirs; empty where nobody says it.
        seen: What the records of the images tell of how they were made.
        nameless: CUIs of these concepts whose name is not known.
        counts: What the stages took and dropped, in their order.
        tool: Name and version of what made the dataset.
        parquet: What was written of each split as Parquet.
    """

    options: PackageOptions
    licence: Licence
    images: Mapping[str, int]
    licences: Mapping[str, int]
    concepts: int
    nameless: Sequence[str]
    counts: Sequence[StageCount]
    tool: str
    is_own: bool = False
    concepts_origin: str = ""
    statements: Sequence[str] = ()
    seen: Seen = field(default_factory=Seen)
    parquet: Sequence[ParquetSplit] = ()


def dataset_card(facts: Facts) -> str:
    """Return the card: YAML front matter for the Hugging Face Hub, then Markdown."""
    matter = yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True, width=110)
    values = {"facts": facts, "options": facts.options, "held_out": facts.options.held_out}
    values["hidden"] = facts.images.get(facts.options.held_out, 0)
    public = [split for split, n in facts.images.items() if n and split != facts.options.held_out]
    values["scored"] = "valid" if "valid" in public else next(iter(public), "valid")
    text = _environment().get_template("card.md").render(total=sum(facts.images.values()), **values)
    return f"---\n{matter}---\n\n{text}"


def what_it_holds(facts: Facts) -> str:
    """Return what the images are, as far as it was seen to."""
    what = "images" if facts.is_own else "figures from articles"
    what += " of PubMed Central" * (facts.seen.is_pmc and not facts.is_own)
    return what + ", classified as radiology images by a model," * facts.seen.is_radiology


def seen_in(figures: Sequence[Figure]) -> Seen:
    """Return what the records of all images tell of how they were made."""
    english = [figure.text.english for figure in figures if figure.text.english is not None]
    is_radiology = all(figure.scores.radiology is not None for figure in figures)
    return Seen(
        is_pmc=all(figure.public_pmcid for figure in figures),
        is_radiology=is_radiology,
        is_filtered=is_radiology or all(figure.scores.compound is not None for figure in figures),
        is_english=2 * sum(value > _MORE_LIKELY for value in english) > len(figures),
        is_annotated=any(figure.concepts.manual or figure.concepts.is_annotated for figure in figures),
        has_automatic=any(figure.concepts.automatic for figure in figures),
    )


def truth_readme(options: PackageOptions, images: int) -> str:
    """Return the README of the archive of the held-out truth of so many images."""
    template = _environment().get_template("truth.md")
    return template.render(options=options, split=options.held_out, images=images)


def whole_licence(figures: Sequence[Figure]) -> Licence:
    """Return the licence under which all images together may be used: the strictest, if it covers the others.

    The held-out images count too, for they are published as well.
    """
    codes = {figure.licence.code for figure in figures}
    if codes <= _OPEN:
        return Licence(code="cc-by-4.0", name="CC BY 4.0", url="https://creativecommons.org/licenses/by/4.0/")
    if codes <= _OPEN | {"CC BY-NC"}:
        return Licence(
            code="cc-by-nc-4.0", name="CC BY-NC 4.0", url="https://creativecommons.org/licenses/by-nc/4.0/"
        )
    return Licence(code="other", name="each image has its own licence", url="")


def _front_matter(facts: Facts) -> dict[str, Any]:
    options, has_concepts = facts.options, bool(facts.concepts)
    matter: dict[str, Any] = {"pretty_name": options.title, "license": facts.licence.code}
    if facts.licence.code == "other":
        matter |= {"license_name": "per-image", "license_link": "attribution.csv"}
    if facts.seen.is_english:
        matter["language"] = ["en"]
    matter |= {
        "task_categories": ["image-to-text", "image-classification"],
        "tags": [
            "medical",
            *["radiology"] * facts.seen.is_radiology,
            "image-captioning",
            *["umls"] * has_concepts,
        ],
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
    environment.filters["held"] = what_it_holds
    return environment


def _plain(text: str) -> str:
    """Return text on one line, as a cell of a Markdown table."""
    return re.sub(r"([|<`])", r"\\\1", " ".join(text.split()))
