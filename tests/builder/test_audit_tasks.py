from __future__ import annotations

import csv
import hashlib
import json
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dataset_builder.cli.audit import audit
from dataset_builder.study import audit_sample
from dataset_builder.study.audit_sample import Key, draw
from dataset_builder.study.audit_tasks import read_key, write_audit
from rocov2_eval import command
from rocov2_eval.errors import RejectedInput, UsageFault

from made_audit import population

IMAGES, TYPES = population()
SMALL = draw(IMAGES, TYPES, n=20, missed=3, seed=11)
NAMES = {cui: f"name {cui}" for cui in TYPES}
PICTURES = {image.image_id: image.image_id.encode for image in IMAGES}


@dataclass(frozen=True, kw_only=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Return a function that runs `audit` in this process."""

    def invoke(*arguments: object) -> Answer:
        capsys.readouterr()
        code = command.invoke(audit, "audit", [str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code=int(code), out=captured.out, err=captured.err)

    return invoke


@pytest.fixture
def types(tmp_path: Path, sample: Path) -> Path:
    """Return a table of types of the concepts of the bundled sample."""
    with (sample / "cui_mapping.csv").open(encoding="utf-8") as file:
        cuis = [row["CUI"] for row in csv.DictReader(file)]
    path = tmp_path / "types.csv"
    lines = [f"{cui},{'T047' if number % 2 else 'T023'}" for number, cui in enumerate(cuis)]
    path.write_text("\n".join(["cui,types", *lines]) + "\n", encoding="utf-8")
    return path


def written(
    folder: Path,
    key: Key = SMALL,
    *,
    raters: int = 1,
    tool: str = "label-studio",
    names: dict[str, str] = NAMES,
    pictures: dict[str, Callable[[], bytes]] = PICTURES,
) -> Path:
    out = folder / "audit"
    by_id = {image.image_id: image for image in IMAGES}
    write_audit(out, key, images=by_id, names=names, pictures=pictures, raters=raters, tool=tool)
    return out


def table_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lookup_accuracy(features: Sequence[object], labels: Sequence[bool]) -> float:
    """Return how often the most frequent label of a feature in one half is right in the other half."""
    half = len(labels) // 2
    votes: dict[object, Counter[bool]] = {}
    for feature, label in zip(features[:half], labels[:half], strict=True):
        votes.setdefault(feature, Counter())[label] += 1
    guesses = [
        votes[feature].most_common(1)[0][0] if feature in votes else False for feature in features[half:]
    ]
    return float(np.mean([guess == label for guess, label in zip(guesses, labels[half:], strict=True)]))


def test_nothing_that_a_rater_can_see_tells_decoys_from_automatic_concepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_sample, "DECOYS", 0.5)  # a guess is right by chance half of the time
    drawn = draw(IMAGES, TYPES, n=240, missed=20, seed=11)
    out = written(tmp_path, drawn, tool="csv")
    kinds = {item.item: item.kind for item in read_key(out / "secret/key.json").items}
    folder = out / "raters/rater-1/concepts"
    tasks = table_rows(folder / "tasks.csv")
    labels = [kinds[task["image"]] == "decoy" for task in tasks]
    digests = [hashlib.sha256((folder / task["picture"]).read_bytes()).hexdigest() for task in tasks]
    times = Counter(digests)
    place = [number * 8 // len(tasks) for number in range(len(tasks))]
    features = {
        "concept": [task["text"] for task in tasks],
        "length": [len(task["text"]) for task in tasks],
        "id": [task["image"][1] for task in tasks],
        "picture": digests,
        "times of the picture": [times[digest] for digest in digests],
    }
    accuracy = {name: lookup_accuracy(values, labels) for name, values in features.items()}
    alternating = [*range(0, len(tasks), 2), *range(1, len(tasks), 2)]  # both halves have every place
    accuracy["place"] = lookup_accuracy([place[i] for i in alternating], [labels[i] for i in alternating])
    assert sum(labels) == len(labels) / 2 == 240
    assert all(value < 0.5 + 4 * np.sqrt(0.25 / 240) for value in accuracy.values()), accuracy


@pytest.mark.parametrize("tool", ["label-studio", "csv"])
def test_no_file_of_a_rater_names_kinds_images_or_the_seed(tmp_path: Path, tool: str) -> None:
    out = written(tmp_path, tool=tool)
    for path in out.joinpath("raters").rglob("*"):
        assert "image_0" not in path.name
        if path.is_file() and path.suffix != ".jpg":
            text = path.read_text(encoding="utf-8")
            for secret in ("decoy", "automatic", "image_0", "seed", "population"):
                assert secret not in text, path


def test_the_key_is_for_its_owner_alone_and_comes_back_as_it_was_drawn(tmp_path: Path) -> None:
    secret = written(tmp_path) / "secret"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (secret, *secret.iterdir())]
    assert modes == [0o700, 0o600]
    assert read_key(secret / "key.json") == SMALL


def test_every_rater_gets_both_parts_and_the_shared_items(tmp_path: Path) -> None:
    out = written(tmp_path, raters=2, tool="csv")
    seen = [
        {path.stem for path in (out / f"raters/rater-{rater}/concepts/images").iterdir()} for rater in (1, 2)
    ]
    assert len(seen[0] & seen[1]) == 5  # a fifth of 20 concepts and 5 decoys
    assert seen[0] | seen[1] == {item.item for item in SMALL.items if item.kind != "missed"}
    assert sorted(path.name for path in (out / "raters/rater-2").iterdir()) == ["concepts", "missed"]


def test_one_document_root_serves_the_pictures_of_all_raters_and_not_the_key(tmp_path: Path) -> None:
    out = written(tmp_path, raters=2)
    for path in out.joinpath("raters").rglob("tasks.json"):
        for task in json.loads(path.read_text(encoding="utf-8")):
            before, place = task["data"]["image"].split("?d=")
            assert before == "/data/local-files/"
            assert (out / "raters" / place).is_file()
    assert sorted(path.name for path in out.iterdir()) == ["raters", "secret"]


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (written(tmp_path / "a", raters=2), written(tmp_path / "b", raters=2))
    )
    assert first == second


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise RejectedInput("damaged")

    with pytest.raises(RejectedInput, match="damaged"):
        written(tmp_path, pictures=dict.fromkeys(PICTURES, fail))
    with pytest.raises(UsageFault, match="drawn images have no picture, such as image_0"):
        written(tmp_path, pictures={})
    with pytest.raises(UsageFault, match="drawn concepts have no name, such as C00000"):
        written(tmp_path, names={})
    assert list(tmp_path.iterdir()) == []
    written(tmp_path)
    with pytest.raises(UsageFault, match="exists already"):
        written(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item,kind\n", "malformed"),
        ('{"seed": 1, "population": {}, "asked": [], "items": [{"item": "q1"}]}', r"items\[0\]"),
        ('{"schema_version": 9}', "expected the key.json that `audit sample` wrote"),
    ],
)
def test_something_else_than_a_key_is_rejected_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "key.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RejectedInput, match=message):
        read_key(path)


def test_a_dataset_is_sampled_answered_and_scored(
    run: Callable[..., Answer], tmp_path: Path, sample: Path, types: Path
) -> None:
    out = tmp_path / "audit"
    answer = run("sample", sample, "--types", types, "--missed", 6, "--for", "csv", "--out", out)
    assert (answer.code, answer.err) == (0, "")
    assert "automatic concepts, " in answer.out
    exports = []
    for part in ("concepts", "missed"):
        rows = table_rows(out / f"raters/rater-1/{part}/tasks.csv")
        exports.append(tmp_path / f"{part}.csv")
        with exports[-1].open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row | {"CUI": "yes" if part == "concepts" else "none"} for row in rows)
    named = [word for export in exports for word in ("--rater", "rater-1", export)]
    scored = run("score", "--key", out / "secret/key.json", *named, "--format", "json")
    document = json.loads(scored.out)
    assert (scored.code, scored.err) == (0, "")
    assert document["overall"]["false_positive_rate"]["value"] == 0.0
    assert document["overall"]["false_negative_rate"]["value"] == 0.0
    assert [rater["is_flagged"] for rater in document["raters"]] == [True]


def test_what_cannot_be_sampled_ends_with_2(run: Callable[..., Answer], sample: Path, types: Path) -> None:
    answer = run("sample", sample, "--types", types, "--out", types.parent / "audit", "--missed", 600)
    assert answer.code == 2
    assert "600 images for missed concepts leave none of 44" in answer.err
