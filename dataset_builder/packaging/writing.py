"""Write a finished dataset: the folder that is published, and beside it the archive of the held-out truth."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from dataset_builder.gates import Gate
from dataset_builder.packaging import installing, tables
from dataset_builder.packaging.card import Facts, dataset_card, seen_in, truth_readme, whole_licence
from dataset_builder.packaging.croissant import croissant
from dataset_builder.packaging.images import public_jpeg
from dataset_builder.packaging.numbering import numbered
from dataset_builder.packaging.options import PackageOptions
from dataset_builder.packaging.parquet import ParquetSplit, parquet_writer
from dataset_builder.packaging.sums import SUMS, sums_of, sums_text
from dataset_builder.records import SPLITS, Figure, StageCount
from dataset_builder.report import report_page
from rocov2_eval import __version__
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.archives import add_file
from rocov2_eval.shelf.files import file_digest, write_text
from rocov2_eval.shelf.progress import Progress, silent
from rocov2_eval.shelf.words import shorten

MANIFEST_VERSION = 1
# Of the public files, those whose text nothing in this package chose word by word.
_TOLD_BY_OTHERS = ("manifest.json", "report.html", "README.md", "croissant.json")
_PMCID = re.compile(r"PMC[0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What goes into a dataset.

    Attributes:
        figures: Figures with split, licence, concepts, and what was seen when their file was decoded.
        read: Returns the original file of a figure.
        concept_names: Canonical name by CUI.
        is_own: Whether the images are of the makers' own, not from articles.
        concepts_origin: Where the concepts come from, in words for people; empty where nobody says it.
        statements: What the stages did, in sentences of theirs.
        counts: What the stages took and dropped, in their order.
        gates: Quality gates with what they came to.
        provenance: What went in and with which configuration; goes to `manifest.json` as it is.
        salt: Secret of the dataset: decides the order of the held-out images. It must never be published.
        earlier: Ids of an earlier edition by `Figure.key`.
    """

    figures: Sequence[Figure]
    read: Callable[[Figure], bytes]
    concept_names: Mapping[str, str]
    is_own: bool = False
    concepts_origin: str = ""
    statements: tuple[str, ...] = ()
    counts: tuple[StageCount, ...] = ()
    gates: tuple[Gate, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    salt: bytes = field(default=b"", repr=False)
    earlier: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Dataset:
    """A dataset with numbered images.

    Attributes:
        contents: Figures, names, counts and gates that go into the dataset.
        options: How it is named and what of it is public.
        by_split: Figures with their image ids, by split, in order.
    """

    contents: Contents
    options: PackageOptions
    by_split: Mapping[str, Sequence[Figure]]

    @property
    def figures(self) -> list[Figure]:
        """All figures in the order of the dataset."""
        return [figure for part in self.by_split.values() for figure in part]

    @property
    def shown(self) -> list[Figure]:
        """Figures of which everything is public."""
        held_out = self.options.held_out
        return [figure for split, part in self.by_split.items() if split != held_out for figure in part]

    @property
    def hidden(self) -> Sequence[Figure]:
        """Figures of the held-out split, of which ids and pictures alone are public."""
        return self.by_split.get(self.options.held_out, ())


def write_dataset(
    contents: Contents, options: PackageOptions, target: Path, progress: Progress = silent
) -> tuple[Figure, ...]:
    """Write a dataset and the archive of its truth; an older one is replaced when the new one is complete.

    Args:
        contents: What goes in. The same contents give the same bytes.
        options: How the dataset is named and what of it is public.
        target: The folder; the archive is `<target>-truth.zip`.
        progress: Called with how many of how many images are written.

    Returns:
        The figures with their image ids, in the order of the dataset.

    Raises:
        RejectedInput: A figure is not fit to be published, or the public files would tell held-out articles.
        UsageFault: The salt is too short, or the target cannot be written now.
        MissingResource: Pillow or pyarrow is not installed.
    """
    _check(contents, options)
    figures = numbered(contents.figures, options.prefix, options.held_out, contents.salt, contents.earlier)
    by_split = {split: [each for each in figures if each.assignment.split == split] for split in SPLITS}
    dataset = _Dataset(contents=contents, options=options, by_split=by_split)
    with installing.installing(target) as folder:
        parquet = tuple(_write_images(folder, dataset, progress))
        checksum = _write_truth_archive(folder.parent, dataset, target) if options.held_out else ""
        _write_tables(folder, dataset)
        _write_page(folder, dataset, private=False)
        _write_descriptions(folder, dataset, parquet, checksum)
        _refuse_telling(folder, dataset)
        write_text(folder / SUMS, sums_text(sums_of(folder)))
    return figures


def _check(contents: Contents, options: PackageOptions) -> None:
    """Refuse contents that would make a broken dataset, or one that tells what is held out."""
    if not contents.figures:
        raise RejectedInput(
            "no figure is left for the dataset; `rocov2-build drops` reports why each was dropped"
        )
    held_out = {each.pmcid for each in contents.figures if each.assignment.split == options.held_out}
    for figure in contents.figures:
        split, caption = figure.assignment.split, figure.text.caption
        if split not in SPLITS:
            raise RejectedInput(f"{figure.key}: split {split!r}, expected one of {', '.join(SPLITS)}")
        for name, is_missing in (("licence", not figure.licence.code), ("image", figure.image is None)):
            if is_missing:
                raise RejectedInput(f"{figure.key} has no {name}: its stage must run before the packaging")
        if _CONTROL.search(caption):
            raise RejectedInput(
                f"{figure.key}: the caption has line breaks or control characters: {shorten(caption)!r}; "
                f"the caption stage must run before the packaging"
            )
        if split != options.held_out and figure.pmcid in held_out:
            raise RejectedInput(
                f"{figure.pmcid} is in {split} and in the held-out {options.held_out}; split by article"
            )


def _write_images(folder: Path, dataset: _Dataset, progress: Progress) -> Iterator[ParquetSplit]:
    """Write the images split by split, and yield what was written of each as Parquet."""
    options = dataset.options
    total = len(dataset.figures)
    done = 0
    for split, figures in dataset.by_split.items():
        if not figures:
            continue
        with ExitStack() as stack:
            save = stack.enter_context(_image_files(folder, split, options))
            rows = None
            if options.parquet:
                is_held_out = split == options.held_out
                rows = stack.enter_context(parquet_writer(folder, split, is_held_out=is_held_out))
            for figure in figures:
                picture = _public_picture(figure, dataset.contents)
                save(f"{figure.assignment.image_id}.jpg", picture)
                if rows:
                    rows.add(figure, picture)
                done += 1
                progress(done, total)
            if rows:
                yield rows.finish()


@contextmanager
def _image_files(
    folder: Path, split: str, options: PackageOptions
) -> Iterator[Callable[[str, bytes], object]]:
    """Hand out what saves an image of a split: to a folder, or into an archive that unpacks to one."""
    if options.images == "archives":
        with zipfile.ZipFile(folder / f"{split}_images.zip", "w") as archive:
            yield lambda name, picture: add_file(archive, f"{split}/{name}", picture, compress=False)
    else:
        (folder / split).mkdir()
        yield lambda name, picture: (folder / split / name).write_bytes(picture)


def _public_picture(figure: Figure, contents: Contents) -> bytes:
    """Return the file of an image without its metadata."""
    content = contents.read(figure)
    digest = hashlib.sha256(content).hexdigest()
    assert figure.image is not None, "checked before"
    if digest != figure.image.sha256:
        raise RejectedInput(
            f"{figure.key} has changed since it was read: SHA-256 {digest}, expected "
            f"{figure.image.sha256}; run the stages again from the one that reads the images"
        )
    try:
        return public_jpeg(content)
    except RejectedInput as error:
        raise RejectedInput(f"{figure.key}: {error}") from None


def _write_tables(folder: Path, dataset: _Dataset) -> None:
    """Write the public tables; of the held-out split, the ids."""
    options = dataset.options
    for split, figures in dataset.by_split.items():
        if split != options.held_out:
            tables.write_truth(folder, split, figures)
    if options.held_out:
        tables.write_ids(folder, options.held_out, dataset.hidden)
        if options.credits == "collective":
            tables.write_credits(folder, options.held_out, dataset.hidden)
    elif not dataset.contents.is_own:  # the groups of own images may name patients
        tables.write_assignments(folder, dataset.figures)
    tables.write_concept_names(folder, dataset.shown, dataset.contents.concept_names)
    tables.write_licences(folder, dataset.shown)


def _write_truth_archive(building: Path, dataset: _Dataset, target: Path) -> str:
    """Write what the organisers keep, and return the SHA-256 of the archive."""
    folder = building / "truth"
    folder.mkdir()
    tables.write_truth(folder, dataset.options.held_out, dataset.hidden)
    tables.write_concept_names(folder, dataset.figures, dataset.contents.concept_names)
    tables.write_licences(folder, dataset.hidden)
    tables.write_assignments(folder, dataset.figures)
    _write_page(folder, dataset, private=True)
    write_text(folder / "README.md", truth_readme(dataset.options, len(dataset.hidden)))
    path = building / installing.truth_path(target).name
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            add_file(archive, file.name, file.read_bytes(), compress=False)
    checksum = file_digest(path)
    write_text(building / installing.checksum_path(target).name, f"{checksum}  {path.name}\n")
    return checksum


def _write_page(folder: Path, dataset: _Dataset, *, private: bool) -> None:
    page = report_page(
        dataset.figures,
        dataset.contents.counts,
        dataset.contents.gates,
        title=dataset.options.title,
        names=dataset.contents.concept_names,
        statements=dataset.contents.statements,
        is_own=dataset.contents.is_own,
        private=private,
        held_out=dataset.options.held_out,
    )
    write_text(folder / "report.html", page)


def _write_descriptions(
    folder: Path, dataset: _Dataset, parquet: Sequence[ParquetSplit], checksum: str
) -> None:
    """Write card, manifest and Croissant file; the last has the sums of the tables, which stand by now."""
    concepts = tables.concepts_of(dataset.shown)
    facts = Facts(
        options=dataset.options,
        licence=whole_licence(dataset.figures),
        images={split: len(figures) for split, figures in dataset.by_split.items()},
        licences=dict(Counter(figure.licence.code for figure in dataset.shown).most_common()),
        concepts=len(concepts),
        is_own=dataset.contents.is_own,
        concepts_origin=dataset.contents.concepts_origin,
        statements=dataset.contents.statements,
        seen=seen_in(dataset.figures),
        nameless=[cui for cui in concepts if not dataset.contents.concept_names.get(cui)],
        counts=dataset.contents.counts,
        tool=f"rocov2-eval {__version__}",
        parquet=parquet,
    )
    write_text(folder / "README.md", dataset_card(facts))
    write_text(folder / "manifest.json", _manifest(facts, dataset.contents, checksum))
    write_text(folder / "croissant.json", croissant(facts, sums_of(folder)))


def _manifest(facts: Facts, contents: Contents, checksum: str) -> str:
    """Return what was done, as JSON; a gate's value may come from held-out images, so only its outcome."""
    options = facts.options
    ours: dict[str, Any] = {
        "manifest_version": MANIFEST_VERSION,
        "tool": facts.tool,
        "dataset": {
            "name": options.name,
            "title": options.title,
            "version": options.version,
            "licence": facts.licence.code,
            "held_out": options.held_out,
            "images": dict(facts.images),
            "licences": dict(facts.licences),
            "concepts": facts.concepts,
            "concepts_origin": facts.concepts_origin,
            "concepts_without_name": facts.nameless,
        },
        "counts": msgspec.to_builtins(contents.counts),
        "gates": [
            {"name": gate.name, "outcome": gate.outcome}
            for gate in contents.gates
            if not (options.held_out and gate.tells_figures)
        ],
        "truth_sha256": checksum or None,
    }
    twice = sorted(ours.keys() & contents.provenance.keys())
    if twice:
        raise RejectedInput(f"provenance: {', '.join(twice)} would hide fields of the manifest")
    document = {**ours, **contents.provenance}
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _refuse_telling(folder: Path, dataset: _Dataset) -> None:
    """Refuse a public file that names an article of a held-out image, or the secret that orders them."""
    articles = {figure.pmcid for figure in dataset.hidden}
    salt = dataset.contents.salt
    secrets = {salt.hex(), salt.decode("utf-8", "replace")} if salt else set()
    for name in _TOLD_BY_OTHERS:
        text = (folder / name).read_text(encoding="utf-8")
        named = sorted(articles.intersection(_PMCID.findall(text)))
        if named:
            raise RejectedInput(f"{name} would reveal articles of held-out images, such as {named[0]}")
        if any(secret in text for secret in secrets):
            raise RejectedInput(f"{name} would reveal the salt; keep it out of the provenance")
