"""Feed damaged files to the commands, in this process, and judge the answers by rules of its own.

A trial is made of its seed and number alone, so that any of them can be made again:

    python tests/made/fuzzer.py --inputs 100000 --workers 2
    python tests/made/fuzzer.py --only 4711 --keep /tmp/case

The rules, of which none asks the code under test: the command ends with a documented exit code, without a
traceback and in bounded time; what it scores is valid by the plain reading below, and its score is that of
this reading; what is rejected leaves no output behind.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import dataset_builder.cli
import rocov2_eval.cli

from mutations import archive, changed_bytes, json_file, table, toml_file, zip_file

SEED = 20260101
MOST_SECONDS = 20.0  # of one trial, before it counts as a hang
MOST_MEMORY = 6 << 30  # bytes of address space of a worker of the command below
DOCUMENTED = {0, 1, 2, 3}
IDS = tuple(f"p{i}" for i in range(6))
CONCEPTS = [["ID", "CUIs"], *([image, f"C000000{i};C0040405"] for i, image in enumerate(IDS))]
CAPTIONS = [["ID", "Caption"], *([image, f"A chest CT, number {i}"] for i, image in enumerate(IDS))]
RATINGS = [
    ["image", "facet", "CUI", "rater", "time"],
    *(
        [f"{i}", "modality", ("CT", "MRI")[i % 2], f"r{r}", "2026-01-31T12:00:00Z"]
        for i in range(4)
        for r in (1, 2)
    ),
]
METADATA = {
    "schema_version": 1,
    "team": "evil",
    "run": "run",
    "task": "concepts",
    "edition": "rocov2",
    "method": "Guesses.",
    "external_data": ["none"],
    "contact": "team@example.org",
}
LABEL_STUDIO = [
    {
        "id": number,
        "data": {"key": f"{number}.jpg", "image": f"/data/local-files/?d=tasks/images/{number}.jpg"},
        "annotations": [
            {
                "id": number,
                "result": [{"from_name": "modality", "type": "choices", "value": {"choices": ["CT"]}}],
                "was_cancelled": False,
                "completed_by": {"id": 7, "email": "a@example.org"},
                "created_at": "2026-01-31T12:00:00.5Z",
            }
        ],
        "predictions": [],
    }
    for number in (1, 2)
]
MODEL_CONFIG = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 10}
BUILD = (Path(dataset_builder.__file__).parent / "build.toml").read_text(encoding="utf-8")
PUNKT = ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt")
HOMES = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
MEMORY_DISK = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  a folder costs 3 ms on a disk
PART = 1000  # trials that a worker makes at a time
Judge = Callable[[int, str], str | None]  # exit code and stdout in, what is wrong with them out


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A command, and what judges its answer beyond its exit code."""

    words: Sequence[object]
    judge: Judge
    run: Callable[[list[str]], int] = rocov2_eval.cli.invoke


@dataclass(kw_only=True)
class Tally:
    """What came of many trials."""

    trials: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    scored: int = 0
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def add(self, other: Tally) -> None:
        """Take in what came of other trials."""
        self.trials += other.trials
        self.exits += other.exits
        self.codes += other.codes
        self.scored += other.scored
        self.faults += other.faults
        self.slowest = max(self.slowest, other.slowest)


class Hang(BaseException):
    """A trial took longer than it may; no `except Exception` stops it."""


# What a file says, read as plainly as can be.


def plain_rows(content: bytes) -> list[list[str]] | None:
    """Return the rows below the header, as Python's csv module reads them; None where it cannot."""
    if len(content) > 1 << 28:
        return None
    try:
        rows = list(csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")))
    except (UnicodeDecodeError, csv.Error):
        return None
    if rows and rows[0]:
        rows[0][0] = rows[0][0].removeprefix("\ufeff")
    header = rows[0] if rows else []
    names = ["".join(filter(str.isalnum, cell)).lower() for cell in header]
    # An index of pandas has no name; beside a column of answers it holds the ids.
    has_header = names[:1] == ["id"] or (names[:1] == [""] and names[1:] in (["cuis"], ["caption"]))
    if has_header and header[0].lower() != "id":  # no official header: such a run is converted
        rows = [row for row in rows if row]
    return rows[1:] if has_header else rows


def plain_concepts(content: bytes, *, is_truth: bool = False) -> dict[str, set[str]] | None:
    """Return the concepts of each image; None where the file is not valid."""
    rows = plain_rows(content)
    if not rows or not all(1 <= len(row) <= 2 for row in rows) or len({row[0] for row in rows}) < len(rows):
        return None
    cells = {row[0]: [text.strip() for text in row[1].split(";")] if row[1:] else [] for row in rows}
    if not is_truth and any(len(cell) > 100 or len(set(cell)) < len(cell) for cell in cells.values()):
        return None
    return {image: {text.upper() for text in cell} for image, cell in cells.items()}


def plain_captions(content: bytes) -> set[str] | None:
    """Return the ids of a caption run; None where the file is not valid."""
    rows = plain_rows(content)
    if not rows or not all(len(row) > 1 for row in rows) or len({row[0] for row in rows}) < len(rows):
        return None
    return {row[0] for row in rows}


def plain_f1(run: dict[str, set[str]], truth: dict[str, set[str]]) -> float:
    """Return the mean over the images of 2 |A and B| / (|A| + |B|)."""
    return sum(2 * len(run[i] & truth[i]) / max(len(run[i]) + len(truth[i]), 1) for i in truth) / len(truth)


def plain_member(content: bytes) -> bytes | None:
    """Return the one CSV file of an archive; None where it is not one honest file."""
    with contextlib.suppress(Exception), zipfile.ZipFile(io.BytesIO(content)) as opened:
        names = [name for name in opened.namelist() if not name.endswith("/") and "__MACOSX" not in name]
        is_safe = (
            len(names) == 1 and not names[0].startswith("/") and ".." not in re.split(r"[\\/]", names[0])
        )
        if is_safe and names[0].lower().endswith((".csv", ".tsv", ".txt")) and opened.testzip() is None:
            return opened.read(names[0])
    return None


def plain_metadata(content: bytes) -> bool:
    """Tell whether a submission.json may be accepted."""
    try:
        document = json.loads(content.decode("utf-8").removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict) or not METADATA.keys() <= document.keys():
        return False
    return (
        document.keys() <= METADATA.keys() | {"split", "paper", "code"}
        and all(
            re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", str(document[key]), re.ASCII) for key in ("team", "run")
        )
        and document["schema_version"] == 1
        and document["task"] in ("concepts", "captions")
        and all(isinstance(document[key], str) and document[key] for key in ("method", "contact"))
        and re.fullmatch(r"[^@\s]+@[^@\s]+", document["contact"]) is not None
        and isinstance(document["external_data"], list)
        and all(isinstance(item, str) and item for item in document["external_data"])
        and all(isinstance(document.get(key, "https://x"), str) for key in ("paper", "code"))
    )


# The doors: each writes its files into an empty folder and says what to run.


def concept_run(source: Random, folder: Path) -> Trial:
    """Score a damaged run of concepts, sometimes in an archive."""
    content: bytes | None = table(source, CONCEPTS)
    path = folder / "run.csv"
    if source.random() < 0.25:
        content = zip_file(source, content)
        path = folder / source.choice(("run.zip", "run.csv"))
    path.write_bytes(content)
    if path.suffix == ".zip" or content[:4] == b"PK\x03\x04":
        content = plain_member(content)
    truth = folder / "test_concepts.csv"
    truth.write_bytes(FAULTLESS)
    return _scored(path, content, truth, FAULTLESS, source)


def concept_truth(source: Random, folder: Path) -> Trial:
    """Score a faultless run against a damaged truth, with damaged files beside it."""
    run, truth = folder / "run.csv", folder / "test_concepts.csv"
    run.write_bytes(FAULTLESS)
    content = table(source, CONCEPTS)
    truth.write_bytes(content)
    if source.random() < 0.3:
        (folder / "test_concepts_manual.csv").write_bytes(table(source, CONCEPTS))
        (folder / "cui_mapping.csv").write_bytes(
            table(source, [["CUI", "Canonical name"], ["C0040405", "CT"]])
        )
    return _scored(run, FAULTLESS, truth, content, source)


def caption_run(source: Random, folder: Path) -> Trial:
    """Score or check a damaged run of captions against a damaged or faultless truth."""
    run, truth = folder / "run.csv", folder / "test_captions.csv"
    content, answers = (
        table(source, CAPTIONS),
        table(source, CAPTIONS) if source.random() < 0.3 else csv_of(CAPTIONS),
    )
    run.write_bytes(content)
    truth.write_bytes(answers)

    def judge(code: int, _: str) -> str | None:
        ids, wanted = plain_captions(content), plain_captions(answers)
        return "an invalid file was scored" if code == 0 and (ids is None or ids != wanted) else None

    if source.random() < 0.5:
        return Trial(words=["validate", run, "--truth", truth, "--task", "captions"], judge=judge)
    words = ["score", run, "--truth", truth, "--task", "captions", "--metric", "rouge", "--no-ci"]
    return Trial(words=words, judge=judge)


def metadata(source: Random, folder: Path) -> Trial:
    """Check a damaged submission.json."""
    content = json_file(source, METADATA)
    (folder / "submission.json").write_bytes(content)

    def judge(code: int, _: str) -> str | None:
        return "invalid metadata passed" if code == 0 and not plain_metadata(content) else None

    return Trial(words=["validate", folder / "submission.json"], judge=judge)


def document(source: Random, folder: Path) -> Trial:
    """Check a damaged document of another kind: what no schema of ours describes passes as a run alone."""
    kinds = (
        {"metrics": {}, "task": "concepts"},
        {"pairs": []},
        {"boards": []},
        {"label_studio": LABEL_STUDIO},
    )
    (folder / "x.json").write_bytes(json_file(source, source.choice(kinds)))
    return Trial(
        words=["validate", folder / "x.json", "--format", source.choice(("text", "json", "github", "csv"))],
        judge=lambda code, told: "a document of nothing passed" if code == 0 and "R008" not in told else None,
    )


def board(source: Random, folder: Path) -> Trial:
    """Rank a damaged submission beside an honest one, which has to be ranked whatever the other does."""
    root, site, truth = folder / "submissions", folder / "site", folder / "test_concepts.csv"
    truth.write_bytes(FAULTLESS)
    honest = root / "honest" / "run"
    honest.mkdir(parents=True)
    (honest / "run.csv").write_bytes(FAULTLESS)
    (honest / "submission.json").write_text(json.dumps(METADATA | {"team": "honest"}), encoding="utf-8")
    evil = (
        root / source.choice(("evil", "evil", "evil", "Honest", "e vil", "e\u0301vil", "CON", "-x")) / "run"
    )
    evil.mkdir(parents=True, exist_ok=True)
    run, said = table(source, CONCEPTS), json_file(source, METADATA) if source.random() < 0.5 else b""
    (evil / "run.csv").write_bytes(run)
    (evil / "submission.json").write_bytes(said or json.dumps(METADATA).encode())
    match source.randrange(8):
        case 0:
            (evil / "run.zip").write_bytes(zip_file(source, run))
        case 1:
            (evil / "run.csv").unlink()
            (evil / "run.csv").symlink_to(truth)
        case 2:
            (root / "stray").symlink_to(root)
        case 3:
            os.mkfifo(root / "evil.pipe")

    def judge(code: int, _: str) -> str | None:
        if code:
            return "the board did not come about" if code != 2 or "Honest" not in str(evil) else None
        told = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))
        ranked = {row["team"] for each in told["boards"] for row in each["standings"]}
        is_valid = (
            _is_valid(run) and (not said or plain_metadata(said)) and not (evil / "run.csv").is_symlink()
        )
        if "honest" not in ranked:
            return "the honest run is not ranked"
        return "an invalid submission was ranked" if len(ranked) > 1 and not is_valid else None

    words = ["leaderboard", root, "--truth", truth, "--out", site, "--metric", "concept_f1"]
    return Trial(words=[*words, "--rank-by", "concept_f1"], judge=judge)


def config_file(source: Random, folder: Path) -> Trial:
    """Score with a damaged config file of the user's."""
    truth, run = folder / "test_concepts.csv", folder / "run.csv"
    truth.write_bytes(FAULTLESS)
    run.write_bytes(FAULTLESS)
    home = folder / "home" / "rocov2-eval"
    home.mkdir(parents=True)
    (home / "config.toml").write_bytes(toml_file(source, f'data = "{truth}"'))
    words = ["score", run, "--no-ci", "--metric", "concept_f1"]
    return Trial(words=words, judge=lambda *_: None)


def ratings(source: Random, folder: Path) -> Trial:
    """Measure the agreement of a damaged table of answers."""
    content = table(source, RATINGS)
    (folder / "ratings.csv").write_bytes(content)

    def judge(code: int, _: str) -> str | None:
        try:
            rows = list(csv.reader(io.StringIO(content.decode("utf-8").removeprefix("\ufeff"), newline="")))
        except (UnicodeDecodeError, csv.Error):
            rows = []
        is_valid = bool(rows) and {"image", "facet", "CUI", "rater"} <= set(rows[0])
        is_valid = is_valid and all(len(row) in (0, len(rows[0])) for row in rows)
        return "an invalid table was measured" if code == 0 and not is_valid else None

    return Trial(words=["agreement", folder / "ratings.csv"], judge=judge, run=dataset_builder.cli.run)


def label_studio(source: Random, folder: Path) -> Trial:
    """Import a damaged export of an annotation tool."""
    path, out = folder / "export.json", folder / "answers.csv"
    path.write_bytes(json_file(source, LABEL_STUDIO))

    def judge(code: int, _: str) -> str | None:
        return "an output beside a rejection" if (code == 0) != out.exists() else None

    words = ["curate", "import", path, "--out", out]
    words += source.choice(([], ["--from", "label-studio"], ["--from", "medcattrainer"]))
    return Trial(words=words, judge=judge, run=dataset_builder.cli.run)


def build_file(source: Random, folder: Path) -> Trial:
    """Ask for the state of a damaged build.toml."""
    content = toml_file(source, BUILD)
    (folder / "build.toml").write_bytes(content)

    def judge(code: int, _: str) -> str | None:
        try:
            tomllib.loads(content.decode("utf-8"))
        except (ValueError, RecursionError):
            return "no TOML was taken for a build" if code == 0 else None
        return None

    return Trial(words=["status", folder / "build.toml"], judge=judge, run=dataset_builder.cli.run)


def model_pack(source: Random, folder: Path) -> Trial:
    """Import damaged weights: none of these is what a name stands for."""
    pack = folder / "pack"
    pack.mkdir()
    (pack / "config.json").write_bytes(json_file(source, MODEL_CONFIG))
    header = json_file(source, {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})
    size = source.choice((len(header), len(header), source.randrange(1 << 20), 1 << 60))
    (pack / "model.safetensors").write_bytes(
        size.to_bytes(8, "little") + header + bytes(source.choice((8, 7, 0)))
    )
    if source.random() < 0.5:
        pack = folder / "punkt.zip"
        members = [(f"punkt_tab/english/{name}", b"x") for name in PUNKT]
        pack.write_bytes(
            changed_bytes(source, zip_file(source, b"x") if source.random() < 0.3 else archive(*members))
        )
    words = ["models", "import", pack]
    words += source.choice(([], ["--as", "punkt-english"], ["--as", "deberta-xlarge-mnli"], ["--as", "x"]))
    return Trial(
        words=words,
        judge=lambda code, _: (
            "foreign weights were filed" if "punkt.zip" in str(pack) and code == 0 else None
        ),
    )


Door = Callable[[Random, Path], Trial]
DOORS: dict[Door, int] = {  # with how many of a hundred trials
    concept_run: 34,
    concept_truth: 14,
    caption_run: 14,
    metadata: 11,
    document: 4,
    config_file: 4,
    ratings: 3,
    label_studio: 8,
    build_file: 3,
    model_pack: 4,
    board: 1,
}


def try_one(seed: int, number: int, folder: Path, tally: Tally, doors: Sequence[Door] = tuple(DOORS)) -> None:
    """Make a trial in an empty folder, run it, and add what came of it."""
    source = Random(f"{seed}:{number}")
    door = source.choices(doors, [DOORS[each] for each in doors])[0]
    trial = door(source, folder)
    words = [str(word) for word in trial.words]
    out, err = io.StringIO(), io.StringIO()
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    start = time.monotonic()
    code, fault = -1, None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = int(trial.run(words))
    except Hang:
        fault = f"no end within {MOST_SECONDS:g} s"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if fault is None and (code not in DOCUMENTED or "Traceback" in err.getvalue()):
        fault = " | ".join(err.getvalue().strip().splitlines()[-3:]) or f"exit code {code}"
    fault = fault or trial.judge(code, out.getvalue())
    tally.trials[door.__name__] += 1
    tally.exits[code] += 1
    tally.codes.update(set(re.findall(r"\b(R\d{3})\b", out.getvalue() + err.getvalue())))
    tally.scored += code == 0
    tally.slowest = max(tally.slowest, time.monotonic() - start)
    if fault:
        tally.faults.append(f"{door.__name__} {number}: {fault[:300]}")


def try_many(seed: int, numbers: Sequence[int], doors: Sequence[Door] = tuple(DOORS)) -> Tally:
    """Make trials one after the other, each in a folder and a home of its own."""
    tally = Tally()
    before = signal.signal(signal.SIGALRM, _stop)
    kept = {name: os.environ.get(name) for name in HOMES}
    try:
        with tempfile.TemporaryDirectory(prefix="rocov2-fuzz-", dir=MEMORY_DISK) as scratch:
            folder = Path(scratch) / "trial"
            os.environ.update({name: str(folder / "home") for name in HOMES})
            for number in numbers:
                folder.mkdir()
                try_one(seed, number, folder, tally, doors)
                shutil.rmtree(folder)
    finally:
        signal.signal(signal.SIGALRM, before)
        for name, value in kept.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    return tally


def csv_of(rows: Sequence[Sequence[str]]) -> bytes:
    """Return rows as a CSV file."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


FAULTLESS = csv_of(CONCEPTS)


def _scored(path: Path, run: bytes | None, truth_path: Path, truth: bytes, source: Random) -> Trial:
    """Score a run of concepts; the judge scores it by the plain reading too."""

    def judge(code: int, out: str) -> str | None:
        ours = None if run is None else plain_concepts(run)
        theirs = plain_concepts(truth, is_truth=True)
        is_valid = ours is not None and theirs is not None and ours.keys() == theirs.keys()
        if not is_valid:
            return "an invalid file was scored" if code == 0 else None
        if code:
            return None
        assert ours is not None
        assert theirs is not None
        mean, expected = json.loads(out)["metrics"]["concept_f1"]["mean"], plain_f1(ours, theirs)
        return None if abs(mean - expected) < 1e-9 else f"scored {mean}, expected {expected}"

    words = ["score", path, "--truth", truth_path, "--no-ci", "--format", "json"]
    return Trial(words=[*words, *source.choice((["--task", "concepts"], []))], judge=judge)


def _is_valid(run: bytes) -> bool:
    ours = plain_concepts(run)
    return ours is not None and ours.keys() == set(IDS)


def _stop(*_: object) -> None:
    raise Hang


def _worker(part: tuple[int, range, int]) -> Tally:
    """Make a share of the trials within a bound of memory."""
    seed, numbers, memory = part
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    return try_many(seed, numbers)


def main() -> int:
    """Make many trials, print what came of them, and return 1 where one shows a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, help="Make one trial again.")
    parser.add_argument("--keep", type=Path, help="And leave its files in this new folder.")
    options = parser.parse_args()
    tally, start = Tally(), time.monotonic()
    if options.only is not None:
        options.keep.mkdir(parents=True)
        signal.signal(signal.SIGALRM, _stop)
        os.environ.update({name: str(options.keep / "home") for name in HOMES})
        try_one(options.seed, options.only, options.keep, tally)
    else:
        parts = [
            (options.seed, range(first, min(first + PART, options.inputs)), MOST_MEMORY)
            for first in range(0, options.inputs, PART)
        ]
        with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
            for part in pool.imap_unordered(_worker, parts):
                tally.add(part)
                print(*part.faults, sep="\n", end="\n" * bool(part.faults), file=sys.stderr)
                done, seconds = sum(tally.trials.values()), time.monotonic() - start
                print(
                    f"{done:,} inputs, {done / seconds:,.0f}/s, {len(tally.faults)} faults", file=sys.stderr
                )
            pool.close()
            pool.join()
    seconds = time.monotonic() - start
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"inputs    {sum(tally.trials.values()):,} in {seconds:,.0f} s, slowest {tally.slowest:.2f} s")
    print(f"doors     {_listed(tally.trials)}")
    print(f"exits     {_listed(tally.exits)}")
    print(f"findings  {_listed(tally.codes)}")
    print(f"accepted  {tally.scored:,}")
    print(f"memory    {peak / 1024:,.0f} MB in the largest process")
    print(f"faults    {len(tally.faults)}", *sorted(tally.faults), sep="\n  ")
    return bool(tally.faults)


def _listed(counts: Counter[Any]) -> str:
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
