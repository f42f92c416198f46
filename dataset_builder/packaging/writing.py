"""Write a finished dataset: the folder that is published, and beside it the archive of the held-out truth."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dataset_builder.packaging import installing, tables
from dataset_builder.packaging.archives import new_archive, zip_folder
from dataset_builder.packaging.card import dataset_card, truth_readme
from dataset_builder.packaging.croissant import croissant
from dataset_builder.packaging.facts import Facts, whole_licence
from dataset_builder.packaging.images import public_jpeg
from dataset_builder.packaging.numbering import numbered
from dataset_builder.packaging.options import PackageOptions
from dataset_builder.packaging.parquet import ParquetSplit, parquet_writer
from dataset_builder.packaging.sums import SUMS, sha256_of, sums_of, sums_text
from dataset_builder.records import SPLITS, Figure, StageCount
from rocov2_eval import __version__
from rocov2_eval.errors import RejectedInput
from rocov2_eval.shelf.words import shorten

MANIFEST_VERSION = 1
# Of the public files, those whose text nothing in this package chose word by word.
_TOLD_BY_OTHERS = ("manifest.json", "report.html", "README.md", "croissant.json")
_PMCID = re.compile(r"PMC\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Progress = Callable[[int, int], None]


class JudgedGate(Protocol):
    """What is asked of a quality gate here."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def outcome(self) -> str:
        """Such as `pass`."""
        ...

    @property
    def tells_figures(self) -> bool:
        """Whether figures of all splits had a say in it, held-out ones too."""
        ...


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What goes into a dataset.

    Attributes:
        figures: With split, licence, concepts, and what was seen when their file was decoded.
        read: Returns the original file of a figure.
        concept_names: Canonical name by CUI.
        page: Writes the report: `page(figures, counts, gates, title=…, names=…, private=…, held_out=…)`.
        counts: Of the stages, in their order.
        gates: Quality gates with what they came to.
        provenance: What went in and with which configuration; goes to `manifest.json` as it is.
        salt: Secret of the dataset: decides the order of the held-out images. It must never be published.
        earlier: Ids of an earlier edition by `Figure.key`.
    """

    figures: Sequence[Figure]
    read: Callable[[Figure], bytes]
    concept_names: Mapping[str, str]
    page: Callable[..., str]
    counts: tuple[StageCount, ...] = ()
    gates: tuple[JudgedGate, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    salt: bytes = field(default=b"", repr=False)
    earlier: Mapping[str, str] = field(default_factory=dict)


def write_dataset(
    contents: Contents, options: PackageOptions, target: Path, progress: Progress | None = None
) -> tuple[Figure, ...]:
    """Write a dataset and the archive of its truth; an older one is replaced when the new one is complete.

    Args:
        contents: What goes in. The same contents give the same bytes.
        options: How it is named and what of it is public.
        target: The folder; the archive is `<target>-truth.zip`.
        progress: Told how many of how many images are written.

    Returns:
        The figures with their image ids, in the order of the dataset.

    Raises:
        RejectedInput: A figure is not fit to be published, or the public files would tell held-out articles.
        UsageFault: The salt is too short, or the target cannot be written now.
        MissingResource: Pillow or pyarrow is not installed.
    """
    _check(contents, options)
    figures = numbered(contents.figures, options.prefix, options.held_out, contents.salt, contents.earlier)
    with installing.installing(target) as building:
        folder = building / installing.DATASET
        parquet = tuple(_write_images(folder, figures, contents, options, progress))
        checksum = ""
        if options.held_out:
            checksum = _write_truth_archive(building, figures, contents, options, target)
        _write_tables(folder, figures, contents, options)
        _write_page(folder, figures, contents, options, private=False)
        _write_descriptions(folder, _facts(figures, contents, options, parquet), contents, checksum)
        _refuse_telling(folder, [each for each in figures if each.split == options.held_out], contents.salt)
        _write(folder / SUMS, sums_text(sums_of(folder)))
    return figures


def _check(contents: Contents, options: PackageOptions) -> None:
    """Refuse contents that would make a broken dataset, or one that tells what is held out."""
    if not contents.figures:
        raise RejectedInput("no figure is left to package; the report of the build says where they went")
    for figure in contents.figures:
        if figure.split not in SPLITS:
            expected = ", ".join(SPLITS)
            raise RejectedInput(f"{figure.key}: split {figure.split!r}, expected one of {expected}")
        for name, is_missing in (("licence", not figure.licence), ("image", figure.image is None)):
            if is_missing:
                raise RejectedInput(f"{figure.key} has no {name}: its stage must run before the packaging")
        if _CONTROL.search(figure.caption):
            raise RejectedInput(
                f"{figure.key}: the caption has line breaks or control characters: "
                f"{shorten(figure.caption)!r}; the caption stage must run before the packaging"
            )
    held_out = {figure.pmcid for figure in contents.figures if figure.split == options.held_out}
    for figure in contents.figures:
        if figure.split != options.held_out and figure.pmcid in held_out:
            raise RejectedInput(
                f"{figure.pmcid} is in {figure.split} and in the held-out {options.held_out}; "
                f"split by article"
            )


def _write_images(
    folder: Path,
    figures: Sequence[Figure],
    contents: Contents,
    options: PackageOptions,
    progress: Progress | None,
) -> Iterator[ParquetSplit]:
    """Write the images split by split, and yield what was written of each as Parquet."""
    done = 0
    for split in SPLITS:
        mine = [figure for figure in figures if figure.split == split]
        if not mine:
            continue
        with ExitStack() as stack:
            save = stack.enter_context(_image_files(folder, split, options))
            rows = None
            if options.parquet:
                is_held_out = split == options.held_out
                rows = stack.enter_context(parquet_writer(folder, split, is_held_out=is_held_out))
            for figure in mine:
                picture = _public_picture(figure, contents)
                save(f"{figure.image_id}.jpg", picture)
                if rows:
                    rows.add(figure, picture)
                done += 1
                if progress:
                    progress(done, len(figures))
            if rows:
                yield rows.finish()


@contextmanager
def _image_files(
    folder: Path, split: str, options: PackageOptions
) -> Iterator[Callable[[str, bytes], object]]:
    """Hand out what saves an image of a split: to a folder, or into an archive that unpacks to one."""
    if options.images == "archives":
        with new_archive(folder / f"{split}_images.zip") as archive:
            yield lambda name, picture: archive.add(f"{split}/{name}", picture)
    else:
        (folder / split).mkdir()
        yield lambda name, picture: (folder / split / name).write_bytes(picture)


def _public_picture(figure: Figure, contents: Contents) -> bytes:
    """Return the file of an image without its metadata."""
    content = contents.read(figure)
    digest = hashlib.sha256(content).hexdigest()
    if figure.image is None or digest != figure.image.sha256:
        expected = figure.image.sha256 if figure.image else "none"
        raise RejectedInput(
            f"{figure.key} has changed since it was looked at: SHA-256 {digest}, expected {expected}; "
            f"run the stages again from the one that reads the images"
        )
    try:
        return public_jpeg(content)
    except RejectedInput as error:
        raise RejectedInput(f"{figure.key}: {error}") from None


def _write_tables(
    folder: Path, figures: Sequence[Figure], contents: Contents, options: PackageOptions
) -> None:
    """Write the public tables; of the held-out split, the ids."""
    shown = [figure for figure in figures if figure.split != options.held_out]
    hidden = [figure for figure in figures if figure.split == options.held_out]
    for split in SPLITS:
        if split != options.held_out:
            tables.write_truth(folder, split, (figure for figure in shown if figure.split == split))
    if options.held_out:
        tables.write_ids(folder, options.held_out, hidden)
        if options.credits == "collective":
            tables.write_credits(folder, options.held_out, hidden)
    tables.write_concept_names(folder, shown, contents.concept_names)
    tables.write_licences(folder, shown)


def _facts(
    figures: Sequence[Figure],
    contents: Contents,
    options: PackageOptions,
    parquet: Sequence[ParquetSplit],
) -> Facts:
    """Return what the descriptions may tell."""
    shown = [figure for figure in figures if figure.split != options.held_out]
    concepts = tables.concepts_of(shown)
    return Facts(
        options=options,
        licence=whole_licence(figures),
        images={split: sum(figure.split == split for figure in figures) for split in SPLITS},
        licences=dict(Counter(figure.licence for figure in shown).most_common()),
        concepts=len(concepts),
        nameless=tuple(cui for cui in concepts if not tables.concept_name(cui, contents.concept_names)),
        counts=contents.counts,
        tool=f"rocov2-eval {__version__}",
        parquet=parquet,
    )


def _write_descriptions(folder: Path, facts: Facts, contents: Contents, checksum: str) -> None:
    """Write card, manifest and Croissant file; the last has the sums of the tables, which stand by now."""
    _write(folder / "README.md", dataset_card(facts))
    _write(folder / "manifest.json", _manifest(facts, contents, checksum))
    _write(folder / "croissant.json", croissant(facts, sums_of(folder)))


def _write_truth_archive(
    building: Path, figures: Sequence[Figure], contents: Contents, options: PackageOptions, target: Path
) -> str:
    """Write what the organisers keep, and return the SHA-256 of the archive."""
    folder = building / "truth"
    folder.mkdir()
    hidden = [figure for figure in figures if figure.split == options.held_out]
    tables.write_truth(folder, options.held_out, hidden)
    tables.write_concept_names(folder, figures, contents.concept_names)
    tables.write_licences(folder, hidden)
    tables.write_assignments(folder, figures)
    _write_page(folder, figures, contents, options, private=True)
    _write(folder / "README.md", truth_readme(options, len(hidden)))
    archive = building / installing.TRUTH
    zip_folder(folder, archive)
    checksum = sha256_of(archive)
    _write(building / installing.CHECKSUM, f"{checksum}  {installing.truth_path(target).name}\n")
    return checksum


def _write_page(
    folder: Path, figures: Sequence[Figure], contents: Contents, options: PackageOptions, *, private: bool
) -> None:
    page = contents.page(
        figures,
        contents.counts,
        contents.gates,
        title=options.title,
        names=contents.concept_names,
        private=private,
        held_out=options.held_out,
    )
    _write(folder / "report.html", page)


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
            "concepts_without_name": list(facts.nameless),
        },
        "counts": [asdict(count) for count in contents.counts],
        "gates": [
            {"name": gate.name, "outcome": gate.outcome}
            for gate in contents.gates
            if not (options.held_out and gate.tells_figures)
        ],
        "truth_sha256": checksum or None,
    }
    twice = sorted(ours.keys() & contents.provenance.keys())
    if twice:
        raise RejectedInput(f"provenance: {', '.join(twice)} would hide what the manifest says itself")
    document = {**ours, **contents.provenance}
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _refuse_telling(folder: Path, hidden: Iterable[Figure], salt: bytes) -> None:
    """Refuse a public file that names an article of a held-out image, or the secret that orders them."""
    articles = {figure.pmcid for figure in hidden}
    secrets = {salt.hex(), salt.decode("utf-8", "replace")} if salt else set()
    for name in _TOLD_BY_OTHERS:
        text = (folder / name).read_text(encoding="utf-8")
        told = sorted(articles.intersection(_PMCID.findall(text)))
        if told:
            raise RejectedInput(f"{name} would tell articles of held-out images, such as {told[0]}")
        if any(secret in text for secret in secrets):
            raise RejectedInput(f"{name} would tell the salt; keep it out of the provenance")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
