"""Bring weights to this disk: from the Hugging Face hub, from an archive, or from a folder of the user.

The only connections of the scorer are opened in `fetch`.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from rocov2_eval.editions import ALIASES, EDITIONS, Edition
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.models import (
    KINDS,
    STAND_IN,
    WEIGHTS,
    ModelFolder,
    Source,
    Weights,
    default_name,
    import_hub,
    kinds_of,
    locate,
    missing_files,
    require,
    select_files,
    store_folder,
    superseded_files,
)
from rocov2_eval.rendering.document import Column, Document, Section, Table, Value
from rocov2_eval.shelf.archives import UNREADABLE
from rocov2_eval.shelf.files import file_digest
from rocov2_eval.shelf.folders import all_is_ours, publishing
from rocov2_eval.shelf.parsing import Malformed, json_of, read_plain
from rocov2_eval.shelf.progress import Notify
from rocov2_eval.shelf.words import shorten
from rocov2_eval.tensor_files import check_tensor_file

_ARCHIVE_LIMIT = 64 * 2**20
_MEMBER_LIMIT = 8 * 2**20
_TIMEOUT_SECONDS = 60


def weights_document() -> Document:
    """Return the weights that the command line knows and where each lies, and what each edition lacks."""
    folders = {name: _place(row) for name, row in WEIGHTS.items()}
    titles = ("name", "kind", "from", "size", "licence", "use", "weights")
    rows: list[list[Value]] = []
    for name, row in WEIGHTS.items():
        use = "official" if row.official else "stand-in: scores are not comparable with official ones"
        place = folders[name] or f"not downloaded; {row.get_command}"
        rows.append([name, KINDS[row.kind].title, row.origin, row.amount, row.licence, use, place])
    columns = [Column(title=title) for title in titles]
    data = [
        {**asdict(row), "get_command": row.get_command, "path": folders[name]}
        for name, row in WEIGHTS.items()
    ]
    return Document(
        title="",
        sections=[
            Section(tables=[Table(columns=columns, rows=rows)]),
            Section(title="By edition", tables=[_edition_table(folders)]),
        ],
        data={"weights": data, "editions": {name: _needs(edition) for name, edition in EDITIONS.items()}},
    )


def fetch_all(name: str, notify: Notify) -> list[ModelFolder]:
    """Fetch weights by name, or all that the captions of an edition need and that can be fetched.

    Raises:
        UsageFault: Neither weights nor an edition have this name.
        MissingResource: As for `fetch`.
    """
    if name not in ALIASES:
        return [fetch(name, notify)]
    needed = _needs(EDITIONS[ALIASES[name]])
    if not needed:
        raise UsageFault(f"{name} needs no weights")
    folders = []
    for weights in needed:
        folder = locate(WEIGHTS[weights].kind, weights)
        notify(f"{weights}: {'is here' if folder else WEIGHTS[weights].amount}")
        folders.append(folder or fetch(weights, notify))
    return folders


def fetch(name: str, notify: Notify) -> ModelFolder:
    """Download weights with their configuration and vocabulary, and check them.

    What lies in one repository stays in the hub's cache; the rest is put together in this program's own
    folder. A download that was cut off goes on where it stopped. Whatever `HF_ENDPOINT`, `HF_HOME`,
    `HF_TOKEN` and `HF_HUB_OFFLINE` say is honoured by huggingface_hub.

    Raises:
        UsageFault: The weights are not known or come in a package.
        MissingResource: The source cannot be reached, or a file differs from what it should be; such a file
            is deleted, so that the next attempt fetches it again.
    """
    row = _fetchable(name)
    if row.url:
        return _fetch_archive(row, notify)
    hub = import_hub()
    files: dict[str, Path] = {}
    try:
        for source in row.sources:
            files |= _fetch_repository(row, source, hub, notify)
    except _network_errors(hub) as error:
        raise MissingResource(_unreachable(row, hub.constants.ENDPOINT, error)) from error
    for file, expected in row.sha256.items():
        if file in files and file_digest(files[file]) != expected:
            raise MissingResource(
                f"{file} differs from the file that {row.name} requires: its SHA-256 is not "
                f"{expected}; the publisher may have replaced it. The file is {files[file]}."
            )
    if len(row.sources) > 1:
        with _filing(row) as folder:
            for file, path in files.items():
                _link(path, folder / file)
    return require(row.kind, name)


def import_weights(source: Path, name: str | None, notify: Notify) -> ModelFolder | None:
    """Check weights that were carried here by hand, and file a copy in this program's own folder.

    What was filed before stays, as files of one model may come one by one, but for what a new file takes the
    place of under another name.

    Args:
        source: A folder, one file of a model, or the archive of `punkt-english`.
        name: Key of `WEIGHTS`, None to recognise it by its files or the folder's name.
        notify: Called with a sentence for the user.

    Returns:
        Where the weights lie, None if files are still missing: `notify` was told which.

    Raises:
        UsageFault: The files are those of no known weights, or there is nothing to import.
        MissingResource: A file is damaged or not the one it should be; nothing is filed then.
    """
    files = _carried(source)
    row = _recognised(source, files, name)
    chosen = select_files(files, row.kind)
    if not chosen:
        expected = ", ".join(missing_files({}, row.kind))
        raise UsageFault(f"{source}: no file of {row.name}, expected {expected}")
    for file, content in chosen.items():
        _refuse_foreign(row, file, content)
    with _filing(row) as folder:
        for file, content in chosen.items():
            notify(f"{file}: {_length(content):,} bytes")
            _copy(content, folder / file)
        for file in superseded_files([entry.name for entry in folder.iterdir()], chosen, row.kind):
            notify(f"{file}: removed, because it is no longer used")
            (folder / file).unlink()
        absent = missing_files({entry.name: entry for entry in folder.iterdir()}, row.kind)
    if absent:
        notify(f"{row.name}: {', '.join(absent)} still missing; import them too, with --as {row.name}")
        return None
    return require(row.kind, row.name)


def _place(row: Weights) -> str | None:
    try:
        folder = locate(row.kind, row.name)
    except MissingResource:
        return None
    return str(folder.path) if folder else None


def _needs(edition: Edition) -> list[str]:
    """Return the names of the weights that an edition takes, but for those that nobody may hand out."""
    names = (default_name(kind.name) for kind in kinds_of(edition))
    return [name for name in names if name is not None]


def _edition_table(folders: Mapping[str, str | None]) -> Table:
    rows: list[list[Value]] = []
    for name, edition in EDITIONS.items():
        needed = _needs(edition)
        absent = [weights for weights in needed if folders[weights] is None]
        here = [weights for weights in needed if folders[weights] is not None]
        size = sum(WEIGHTS[weights].size for weights in absent)
        packs = [kind.option for kind in kinds_of(edition) if default_name(kind.name) is None]
        rows.append(
            [
                name,
                ", ".join(here) or "none",
                ", ".join(absent) or "none",
                f"{size / 1e9:.1f} GB; rocov2-eval models fetch {name}" if absent else None,
                ", ".join(f"{option} PACK" for option in packs) or None,
            ]
        )
    titles = ("edition", "here", "missing", "to download", "your own")
    return Table(columns=[Column(title=title) for title in titles], rows=rows)


def _fetchable(name: str) -> Weights:
    row = WEIGHTS.get(name)
    if row is None:
        known = ", ".join([*WEIGHTS, *(edition for edition, rules in EDITIONS.items() if _needs(rules))])
        raise UsageFault(f"no weights {name!r} to download, expected one of {known}")
    if row.package:
        raise UsageFault(f"{name} is part of a package: {row.get_command}")
    return row


def _fetch_repository(
    row: Weights,
    source: Source,
    hub: Any,  # noqa: ANN401
    notify: Notify,
) -> dict[str, Path]:
    """Return the files of one repository by their base names, after checking them."""
    info = hub.HfApi().model_info(source.repository, files_metadata=True)
    siblings = {sibling.rfilename: sibling for sibling in info.siblings}
    lacking = [file for file in source.files if file not in siblings]
    if lacking:
        raise MissingResource(
            f"{source.repository} no longer contains {lacking[0]}. If you have a copy: `rocov2-eval "
            f"models import FILE --as {row.name}`"
        )
    wanted = {file: siblings[file] for file in source.files} or select_files(siblings, row.kind)
    paths = dict(_download(hub, info, wanted, notify))
    if len({path.parents[len(PurePosixPath(file).parts) - 1] for file, path in paths.items()}) != 1:
        raise MissingResource(
            f"the hub published another revision of {row.name} during the download: download it again"
        )
    for file, sibling in wanted.items():
        _refuse_damaged(paths[file], sibling)
    return {path.name: path for path in paths.values()}


def _unreachable(row: Weights, endpoint: str, error: BaseException) -> str:
    lines = [
        f"{row.name} could not be downloaded from {endpoint}: {error}",
        f"The downloaded part is kept: `{row.get_command}` continues it.",
        (
            "Without a connection, copy the files here and import them: `rocov2-eval models import FOLDER "
            f"--as {row.name}`."
        ),
    ]
    if row.kind == "encoder":
        lines.append(
            f"`--encoder {STAND_IN}` scores with a stand-in (scores not comparable with official ones)."
        )
    return "\n".join(lines)


def _network_errors(hub: Any) -> tuple[type[BaseException], ...]:  # noqa: ANN401
    """Name what a broken connection raises: the hub's client changed from requests to httpx with 1.0."""
    clients = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    return (OSError, hub.errors.HfHubHTTPError, *(client.HTTPError for client in clients))


def _download(
    hub: Any,  # noqa: ANN401
    info: Any,  # noqa: ANN401
    wanted: Mapping[str, Any],
    notify: Notify,
) -> Iterator[tuple[str, Path]]:
    # Small files first: a wrong token or a full disk shows before gigabytes have been moved.
    ordered = sorted(wanted, key=lambda name: (wanted[name].size or 0, name))
    for number, name in enumerate(ordered, 1):
        notify(f"{name}: {wanted[name].size or 0:,} bytes, file {number} of {len(ordered)}")
        if wanted[name].lfs:
            _download_large(hub, info, wanted[name])
        yield name, Path(hub.hf_hub_download(info.id, name))


def _download_large(hub: Any, info: Any, sibling: Any) -> None:  # noqa: ANN401
    """Bring a large file into the hub's cache under its final name, whole and checked.

    huggingface_hub throws away what has arrived when its process is killed (since 2.0); `hf_hub_download`
    then finds the finished file and only links to it.
    """
    from huggingface_hub.file_download import http_get, repo_folder_name

    cache = Path(hub.constants.HF_HUB_CACHE) / repo_folder_name(repo_id=info.id, repo_type="model")
    blob = cache / "blobs" / sibling.lfs.sha256
    if blob.exists():
        return
    partial = blob.with_name(f"{blob.name}.rocov2-eval-partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    size = int(sibling.size)
    with partial.open("ab") as stream:
        if stream.tell() > size:
            stream.truncate(0)
        if stream.tell() < size:
            url = hub.hf_hub_url(info.id, sibling.rfilename, revision=info.sha)
            headers = hub.utils.build_hf_headers()
            http_get(url, stream, resume_size=stream.tell(), headers=headers, expected_size=size)
    if file_digest(partial) != sibling.lfs.sha256:
        partial.unlink()
        raise _damaged(sibling.rfilename)
    partial.replace(blob)


def _refuse_damaged(path: Path, sibling: Any) -> None:  # noqa: ANN401
    """Compare a file with what the hub says of it; delete a file that differs."""
    # The hub knows the SHA-256 of large files only, and the git object name of the others.
    is_intact = file_digest(path) == sibling.lfs.sha256 if sibling.lfs else _git_name(path) == sibling.blob_id
    if not is_intact:
        path.resolve().unlink()
        path.unlink(missing_ok=True)  # the link that the cache keeps to it
        raise _damaged(path.name)


def _damaged(name: str) -> MissingResource:
    return MissingResource(
        f"{name} was damaged in the download: its checksum is not that of the hub. The file was "
        "deleted: run the command again."
    )


def _git_name(path: Path) -> str:
    content = path.read_bytes()
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _fetch_archive(row: Weights, notify: Notify) -> ModelFolder:
    notify(f"{row.url}: {row.amount}")
    try:
        with urllib.request.urlopen(row.url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  our own https
            content = answer.read(_ARCHIVE_LIMIT)
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise MissingResource(
            f"{row.name} could not be downloaded from {row.url}: {reason}\nWithout a connection, "
            "download the archive elsewhere and import it here: `rocov2-eval models import FILE --as "
            f"{row.name}`."
        ) from error
    files = _members(io.BytesIO(content), row.url)
    with _filing(row) as folder:
        for file in row.files:
            if file not in files:
                raise MissingResource(f"{row.url}: it contains no {file}")
            _refuse_foreign(row, file, files[file])
            _copy(files[file], folder / file)
    return require(row.kind, row.name)


def _carried(source: Path) -> dict[str, Path | bytes]:
    """Return the files by base name; those of an archive as bytes."""
    if source.is_file() and zipfile.is_zipfile(source) and source.suffix == ".zip":
        return dict(_members(source, str(source)))
    if source.is_file():
        return {source.name: source}
    if not source.is_dir():
        raise UsageFault(f"{source}: no such folder or file")
    inner = source / "tokenizers" / "punkt_tab" / "english"
    folder = inner if inner.is_dir() else source
    return {entry.name: entry for entry in sorted(folder.iterdir()) if entry.is_file()}


def _members(archive: Any, name: str) -> dict[str, bytes]:  # noqa: ANN401  a path or a stream
    """Return the English files of Punkt's archive by base name."""
    try:
        with zipfile.ZipFile(archive) as opened:
            chosen = [info for info in opened.infolist() if fnmatch(info.filename, "*english/*.t*")]
            if any(info.file_size > _MEMBER_LIMIT for info in chosen):
                raise UsageFault(f"{name}: a file in it is too large for the data of Punkt")
            return {PurePosixPath(info.filename).name: opened.read(info) for info in chosen}
    except UNREADABLE as error:
        raise MissingResource(f"{name}: a damaged archive ({shorten(str(error), 100)})") from None


def _recognised(source: Path, files: Mapping[str, Any], name: str | None) -> Weights:
    if name is not None:
        if name not in WEIGHTS:
            raise UsageFault(f"--as {name}: expected one of {', '.join(WEIGHTS)}")
        return WEIGHTS[name]
    for row in WEIGHTS.values():
        titles = {row.name, *(source.repository.rpartition("/")[2].lower() for source in row.sources[:1])}
        if source.name.lower() in titles or (row.files and set(row.files) <= set(files)):
            return row
    raise UsageFault(
        f"{source}: the kind of these weights cannot be detected: add --as NAME, one of {', '.join(WEIGHTS)}"
    )


def _refuse_foreign(row: Weights, name: str, content: Path | bytes) -> None:
    """Refuse a file whose checksum is known and another, or that is damaged."""
    if name in row.sha256:
        found = file_digest(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
        if found != row.sha256[name]:
            raise MissingResource(
                f"{name}: not the file that {row.name} requires: its SHA-256 is {found}, expected "
                f"{row.sha256[name]}"
            )
    if not isinstance(content, Path):
        return
    if content.suffix == ".json":
        try:
            json_of(read_plain(content))
        except Malformed as error:
            raise MissingResource(f"{content}: not JSON: {error}") from None
    check_tensor_file(content)


@contextmanager
def _filing(row: Weights) -> Iterator[Path]:
    """Give a folder to fill, which then takes the place of the one that there is, with what that held."""
    target = store_folder(row.name)
    with publishing(target, all_is_ours) as folder:
        if target.is_dir():
            for entry in target.iterdir():
                _link(entry, folder / entry.name)
        yield folder


def _link(source: Path, target: Path) -> None:
    """Make a second name for a file, or a copy where the file system has no such thing."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _copy(content: Path | bytes, target: Path) -> None:
    target.unlink(missing_ok=True)  # it may share its content with the file filed before
    if isinstance(content, Path):
        shutil.copyfile(content, target)
    else:
        target.write_bytes(content)


def _length(content: Path | bytes) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)
