"""Check a finished dataset from its files alone: complete, consistent, and silent about what is held out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dataset_builder.checks import Check
from dataset_builder.dataset_tables import truth_rows
from dataset_builder.fingerprints import clusters, examine
from dataset_builder.licence_codes import CODES
from dataset_builder.packaging.parquet import SPLIT_NAMES
from dataset_builder.packaging.reading import (
    TRUTH_TABLES,
    ImageFile,
    ImageFiles,
    Tables,
    read_manifest,
    read_tables,
    read_truth,
    shard_rows,
)
from dataset_builder.packaging.sums import SUMS, files_below, read_sums
from dataset_builder.records import SPLITS, ImageFacts, StageCount
from rocov2_eval.shelf.archives import UNREADABLE
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.pictures import Unreadable
from rocov2_eval.shelf.progress import Progress, silent
from rocov2_eval.shelf.words import counted, shorten

_SHOWN = 3  # names in a message
_IDENTIFIER = re.compile(rb"PMC[ _]?\d{4,}|(?<![\d.])10\.\d{4,9}/[-._;()/:a-z0-9]{3,}", re.IGNORECASE)
_CREDITS = re.compile(r".*_credits\.csv")
_WORD = re.compile(r"PMC\d+|10\.\d{4,9}/[^\s\"'<>,;]+", re.IGNORECASE)
_TEXTS = {".csv", ".json", ".md", ".html"}

Look = tuple[ImageFile, ImageFacts | Unreadable]  # an image with what was seen of it


def verify(
    folder: Path,
    truth: Path | None = None,
    *,
    distance: int | None = None,
    progress: Progress = silent,
) -> tuple[Check, ...]:
    """Return the checks of a finished dataset; it is fine if all of them are.

    Args:
        folder: Folder of the finished dataset.
        truth: The archive of the held-out truth; without it, what it tells cannot be checked, and the checks
            say so.
        distance: Most bits in which the perceptual hashes of near duplicates differ; else as in the build.
        progress: Called with how many of how many images are read.

    Raises:
        UsageFault: The folder is no finished dataset.
        RejectedInput: A table or the archive cannot be read.
    """
    manifest = read_manifest(folder)
    held_out = manifest.dataset.held_out
    if distance is None:
        distance = manifest.near_duplicate_distance
    secret = read_truth(truth) if truth else {}
    tables = read_tables(folder, held_out, secret)
    with ImageFiles(folder) as images:
        looks = _looks(images.files, progress)
        checks = [
            _checksums(folder),
            _ids(tables, images.files),
            _readable(looks),
            _parquet(folder, tables.held_out, looks),
            _silence(folder, tables, images.files),
            _articles(tables, images.files),
            _near_duplicates(looks, distance),
            _licences(tables, images.files),
            _balances(manifest.counts),
        ]
    if held_out:
        checks.append(_truth(truth, secret, manifest.truth_sha256, tables))
    return tuple(checks)


def _looks(images: Sequence[ImageFile], progress: Progress) -> list[Look]:
    """Return each image with what is seen of it; a file that cannot be read from the disk is unreadable."""
    looks: list[Look] = []
    for done, image in enumerate(images, start=1):
        try:
            content = image.read()
        except UNREADABLE as error:
            looks.append((image, Unreadable(detail=str(error))))
        else:
            looks.append((image, examine(content)))
        progress(done, len(images))
    return looks


def _checksums(folder: Path) -> Check:
    """Check that `SHA256SUMS` lists every file but itself, with its sum."""
    path = folder / SUMS
    name = f"{SUMS} lists every file with its sum"
    if not path.is_file():
        return Check(name=name, is_fine=False, found=f"{SUMS} is absent")
    listed, there = read_sums(path), files_below(folder)
    faults = _differences(listed, there, "listed but missing", "present but not listed")
    known = (file for file in listed if file in there)
    faults += _named("changed", [file for file in known if file_digest(there[file]) != listed[file]])
    return _verdict(name, faults, counted(len(listed), "file"))


def _ids(tables: Tables, images: Sequence[ImageFile]) -> Check:
    """Check that every table of a split has the ids of its images, each once."""
    faults = []
    for split in SPLITS:
        pictured = [image.image_id for image in images if image.split == split]
        faults += _repeated(f"images of {split}", pictured)
        for table in ("images",) if split == tables.held_out else TRUTH_TABLES:
            listed = tables.ids.get((table, split))
            if listed is None:
                faults.append(f"{split}_{table}.csv is absent")
                continue
            faults += _repeated(f"{split}_{table}.csv", listed)
            faults += _differences(
                listed, pictured, f"in {split}_{table}.csv without image", f"not in {split}_{table}.csv"
            )
    everywhere = [
        image_id for split in SPLITS for image_id in {i.image_id for i in images if i.split == split}
    ]
    faults += _repeated("several splits", everywhere)
    return _verdict("tables and images have the same ids", faults, counted(len(images), "image"))


def _readable(looks: Sequence[Look]) -> Check:
    broken = [f"{image.image_id} ({facts.detail})" for image, facts in looks if isinstance(facts, Unreadable)]
    return _verdict("every image can be read", _named("unreadable", broken), counted(len(looks), "image"))


def _parquet(folder: Path, held_out: str, looks: Sequence[Look]) -> Check:
    """Check that the Parquet files hold the images of the folder, and of a held-out split nothing else."""
    name = "Parquet files contain the same images"
    if not (folder / "data").is_dir():
        return Check(name=name, is_fine=True, found="none written")
    faults = []
    rows = 0
    for split in SPLITS:
        pictured = {
            image.image_id: facts.sha256 if isinstance(facts, ImageFacts) else ""
            for image, facts in looks
            if image.split == split
        }
        shards = sorted((folder / "data").glob(f"{SPLIT_NAMES[split]}-*.parquet"))
        packed, columns = shard_rows(shards)
        rows += len(packed)
        faults += _repeated(f"Parquet files of {split}", [image_id for image_id, _ in packed])
        faults += _differences(dict(packed), pictured, "in Parquet without file", "not in Parquet")
        other = [image_id for image_id, digest in packed if pictured.get(image_id, digest) != digest]
        faults += _named("with another picture in Parquet", other)
        if split == held_out:
            faults += _named("columns of the truth in Parquet", sorted(columns - {"image", "image_id"}))
    return _verdict(name, faults, counted(rows, "row"))


def _silence(folder: Path, tables: Tables, images: Sequence[ImageFile]) -> Check:
    """Check that no file tells an article of a held-out image, and that no image file tells any article."""
    name = "no file reveals held-out articles"
    if not tables.held_out:
        return Check(name=name, is_fine=True, found="nothing is held out")
    tables_there = [f"{tables.held_out}_{table}.csv" for table in TRUTH_TABLES]
    faults = _named("tables of the truth", [each for each in tables_there if (folder / each).exists()])
    telling = []
    for image in images:
        if image.split == tables.held_out:
            match = _IDENTIFIER.search(image.image_id.encode()) or _IDENTIFIER.search(_metadata(image.read()))
            if match:
                telling.append(f"{image.image_id} ({shorten(match[0].decode('ascii', 'replace'))})")
    faults += _named("image files that name an article", telling)
    found = counted(sum(image.split == tables.held_out for image in images), "held-out image")
    if tables.has_truth:
        faults += _named("articles revealed", sorted(_telling_texts(folder, tables.secrets)))
        return _verdict(name, faults, f"{found}, {len(tables.secrets):,} PMCIDs and DOIs searched")
    return _verdict(name, faults, f"{found}; texts not searched: that needs the truth archive")


def _metadata(content: bytes) -> bytes:
    """Return what a JPEG file holds before its picture: coded data may look like anything."""
    start = content.find(b"\xff\xda")
    return content[:start] if content.startswith(b"\xff\xd8") and start > 0 else content


def _telling_texts(folder: Path, secrets: frozenset[str]) -> Iterator[str]:
    """Yield where a text of the dataset names an article of a held-out image."""
    by_word = {secret.lower(): secret for secret in secrets if _WORD.fullmatch(secret)}
    odd = secrets - set(by_word.values())  # with characters that could end the word elsewhere
    for path in sorted(folder.iterdir()):
        if path.suffix not in _TEXTS or _CREDITS.fullmatch(path.name):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        words = {word.lower() for word in _WORD.findall(text)}
        words |= {word.rstrip(".)/") for word in words}
        secret = {by_word[word] for word in words & by_word.keys()} | {each for each in odd if each in text}
        if secret:
            yield f"{path.name} ({shorten(min(secret))})"


def _articles(tables: Tables, images: Sequence[ImageFile]) -> Check:
    """Check that no article is in two splits."""
    holders: dict[str, set[str]] = {}
    for image in images:
        article = tables.articles.get(image.image_id)
        if article:
            holders.setdefault(article, set()).add(image.split)
    crossing = [
        f"{article} ({', '.join(sorted(splits))})"
        for article, splits in sorted(holders.items())
        if len(splits) > 1
    ]
    known = counted(len(holders), "article")
    if tables.held_out and not tables.has_truth:
        known += f"; those of {tables.held_out} are not known without the truth archive"
    return _verdict("no article is in two splits", _named("in two splits", crossing), known)


def _near_duplicates(looks: Sequence[Look], distance: int) -> Check:
    """Check that no picture is in two splits, not even a near duplicate of it."""
    readable = [(image, facts) for image, facts in looks if isinstance(facts, ImageFacts)]
    crossing = []
    for i, first in enumerate(clusters([facts for _, facts in readable], distance).tolist()):
        image, kept = readable[i][0], readable[first][0]
        if image.split != kept.split:
            crossing.append(f"{image.image_id} like {kept.image_id}")
    faults = _named(f"at most {distance} bits apart", crossing)
    return _verdict("no near duplicates across splits", faults, counted(len(readable), "image"))


def _licences(tables: Tables, images: Sequence[ImageFile]) -> Check:
    """Check that `attribution.csv` has each image whose articles are public, with a licence that exists."""
    listed = {row["ID"]: row.get("Licence", "") for row in tables.licences}
    is_whole = not tables.held_out or tables.has_truth
    wanted = [image.image_id for image in images if is_whole or image.split != tables.held_out]
    faults = _repeated("attribution.csv", [row["ID"] for row in tables.licences])
    faults += _differences(listed, wanted, "in attribution.csv without image", "not in attribution.csv")
    unfit = [f"{image_id} ({shorten(code)!r})" for image_id, code in listed.items() if code not in CODES]
    faults += _named("without a known licence", unfit)
    codes = Counter(listed.values()).most_common()
    found = ", ".join(f"{code} {n:,}" for code, n in codes)
    return _verdict("every image has its licence and attribution", faults, found or "no image")


def _balances(counts: Sequence[StageCount]) -> Check:
    """Check that every stage kept or dropped what it took."""
    name = "every stage adds up: taken = kept + dropped"
    if not counts:
        return Check(name=name, is_fine=False, found="manifest.json has no counts of the stages")
    faults = [
        f"{count.stage}: {count.taken} taken, {count.kept} kept, {dropped} dropped"
        for count in counts
        if count.taken != count.kept + (dropped := sum(n for _, n in count.dropped))
    ]
    return _verdict(name, faults, f"{len(counts)} stages")


def _truth(path: Path | None, secret: Mapping[str, bytes], sha256: str | None, tables: Tables) -> Check:
    """Check that the archive of the held-out truth belongs to this dataset and is complete."""
    name = "the truth archive belongs to the dataset"
    if path is None:
        return Check(name=name, is_fine=True, found="not checked: no archive was given")
    digest = file_digest(path)
    faults = []
    if digest != sha256:
        faults.append(f"SHA-256 {digest}, manifest.json has {sha256}")
    written = path.with_name(f"{path.name}.sha256")
    if written.is_file() and written.read_text(encoding="utf-8").split()[:1] != [digest]:
        faults.append(f"{written.name} has another sum")
    held_out = tables.held_out
    listed = tables.ids.get(("images", held_out), [])
    for table in TRUTH_TABLES:
        rows = truth_rows(secret, f"{held_out}_{table}.csv")
        faults += _differences(
            [row["ID"] for row in rows], listed, f"only in {table}", f"absent from {table}"
        )
    return _verdict(name, faults, f"{counted(len(listed), 'image')}, SHA-256 {digest}")


def _repeated(where: str, names: Iterable[str]) -> list[str]:
    return _named(f"twice in {where}", [name for name, times in Counter(names).items() if times > 1])


def _differences(left: Iterable[str], right: Iterable[str], only_left: str, only_right: str) -> list[str]:
    """Return what one of two collections has alone, in words."""
    left, right = set(left), set(right)
    return [*_named(only_left, sorted(left - right)), *_named(only_right, sorted(right - left))]


def _named(fault: str, names: Iterable[str]) -> list[str]:
    """Return a fault with how many things have it and the first of them, nothing where none has."""
    names = list(names)
    if not names:
        return []
    shown = ", ".join(shorten(name, 80) for name in names[:_SHOWN])
    return [f"{len(names):,} {fault}: {shown}{', …' if len(names) > _SHOWN else ''}"]


def _verdict(name: str, faults: Sequence[str], found: str) -> Check:
    return Check(name=name, is_fine=not faults, found="; ".join(faults) or found)
