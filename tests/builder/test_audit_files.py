from __future__ import annotations

import csv
import hashlib
import json
import stat
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from dataset_builder.audit.handing_out import HandingOut, Material, Picture, write_audit
from dataset_builder.audit.key import read_key
from dataset_builder.audit.population import Tables, read_concepts, read_images, tables_of
from dataset_builder.audit.sampling import Item, Sample, SampleOptions, draw_sample
from dataset_builder.cli.audit import audit
from rocov2_eval import command
from rocov2_eval.errors import RejectedInput, UsageFault

sys.path.insert(0, str(Path(__file__).parent))
from made_audit import answers, population, truth_of

FORMATS = ("label-studio", "prodigy", "long-csv", "wide-csv")
IMAGES, CONCEPTS = population()
OPTIONS = SampleOptions(concepts=240, least=5, images=20, decoys=0.5, seed=11)
SAMPLE = draw_sample(IMAGES, CONCEPTS, OPTIONS)
SMALL = draw_sample(IMAGES, CONCEPTS, replace(OPTIONS, concepts=20, images=3))


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


def material() -> Material:
    pictures = {image.image_id: Picture(suffix=".jpg", read=image.image_id.encode) for image in IMAGES}
    return Material(
        images={
            image.image_id: replace(image, caption=f"caption of {image.image_id[:3]}") for image in IMAGES
        },
        concepts=CONCEPTS,
        pictures=pictures,
    )


def written(folder: Path, drawn: Sample = SMALL, **handing_out: object) -> Path:
    out = folder / "audit"
    write_audit(out, drawn, material(), OPTIONS, HandingOut(**handing_out))  # type: ignore[arg-type]
    return out


def public_files(out: Path) -> list[Path]:
    return [path for path in sorted(out.rglob("*")) if path.is_file() and "secret" not in path.parts]


def shown_tasks(out: Path) -> list[tuple[str, str, str]]:
    """Return item, text and digest of the picture of each concept, in the order of the rater."""
    with (out / "raters/rater-1/concepts/tasks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    folder = out / "raters/rater-1/concepts"
    return [
        (row["image"], row["text"], hashlib.sha256((folder / row["picture"]).read_bytes()).hexdigest())
        for row in rows
    ]


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


def test_nothing_that_a_rater_can_see_tells_decoys_from_automatic_concepts(tmp_path: Path) -> None:
    out = written(tmp_path, SAMPLE, format="wide-csv")
    key = read_key(out / "secret/key.csv")
    tasks = shown_tasks(out)
    labels = [key[item].kind == "decoy" for item, _, _ in tasks]
    times = Counter(digest for _, _, digest in tasks)
    features = {
        "concept": [text for _, text, _ in tasks],
        "length": [len(text) for _, text, _ in tasks],
        "id": [item[1] for item, _, _ in tasks],
        "picture": [digest for _, _, digest in tasks],
        "times of the picture": [times[digest] for _, _, digest in tasks],
        "place": [place * 8 // len(tasks) for place in range(len(tasks))][::2]
        + [place * 8 // len(tasks) for place in range(len(tasks))][1::2],
    }
    labels_by_place = labels[::2] + labels[1::2]
    accuracy = {
        name: lookup_accuracy(values, labels_by_place if name == "place" else labels)
        for name, values in features.items()
    }
    assert sum(labels) == len(labels) / 2 == 240
    assert all(value < 0.5 + 4 * np.sqrt(0.25 / 240) for value in accuracy.values()), accuracy


@pytest.mark.parametrize("format_", FORMATS)
def test_no_file_of_a_rater_names_kinds_images_captions_or_the_seed(tmp_path: Path, format_: str) -> None:
    out = written(tmp_path, format=format_)
    for path in public_files(out):
        if path.suffix != ".jpg":
            text = path.read_text(encoding="utf-8")
            for secret in ("decoy", "automatic", "image_0", "seed", "caption of", "population"):
                assert secret not in text, path
        assert "image_0" not in path.name


def test_tasks_of_decoys_have_the_same_fields_as_the_others(tmp_path: Path) -> None:
    out = written(tmp_path, format="label-studio")
    (path,) = (out / "raters/rater-1/concepts").glob("*.json")
    fields = {tuple(task["data"]) for task in json.loads(path.read_text(encoding="utf-8"))}
    assert len(fields) == 1


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    secret = written(tmp_path) / "secret"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (secret, *sorted(secret.iterdir()))]
    assert modes == [0o700, 0o600, 0o600]


def test_the_key_comes_back_as_it_was_drawn(tmp_path: Path) -> None:
    key = read_key(written(tmp_path) / "secret/key.csv")
    assert tuple(key.values()) == SMALL.items


def test_the_caption_is_shown_where_it_is_asked_for(tmp_path: Path) -> None:
    out = written(tmp_path, format="wide-csv", with_caption=True)
    assert all("Caption: caption of ima" in text for _, text, _ in shown_tasks(out))


def test_every_rater_gets_both_parts_and_the_shared_items(tmp_path: Path) -> None:
    out = written(tmp_path, raters=2, overlap=0.5, format="long-csv")
    seen = [
        {path.stem for path in (out / f"raters/rater-{rater}/concepts/images").iterdir()} for rater in (1, 2)
    ]
    assert len(seen[0] & seen[1]) == 20
    assert seen[0] | seen[1] == {item.item for item in SMALL.items if item.kind in ("automatic", "decoy")}
    assert sorted(path.name for path in (out / "raters/rater-2").iterdir()) == ["concepts", "missed"]


def addresses(out: Path, rater: int, part: str) -> list[str]:
    tasks = json.loads((out / f"raters/rater-{rater}/{part}/tasks.json").read_text(encoding="utf-8"))
    return [task["data"]["image"] for task in tasks]


def test_one_document_root_serves_the_pictures_of_all_raters_and_not_the_key(tmp_path: Path) -> None:
    out = written(tmp_path, raters=2)
    for rater in (1, 2):
        for part in ("concepts", "missed"):
            for address in addresses(out, rater, part):
                before, path = address.split("?d=")
                assert before == "/data/local-files/"
                assert path.startswith(f"rater-{rater}/{part}/images/")
                assert (out / "raters" / path).is_file()
    assert sorted(path.name for path in out.iterdir()) == ["raters", "secret"]


@pytest.mark.parametrize("format_", ["label-studio", "prodigy"])
def test_an_address_stands_for_the_folder_of_the_raters(tmp_path: Path, format_: str) -> None:
    out = written(tmp_path, format=format_, address="https://pictures.example.org/")
    text = next((out / "raters/rater-1/missed").glob("*.json*")).read_text(encoding="utf-8")
    assert "https://pictures.example.org/rater-1/missed/images/q" in text


def test_a_key_with_a_modality_without_images_comes_back(tmp_path: Path) -> None:
    unseen = Item(
        item="",
        kind="unseen-images",
        image="",
        cui="",
        types=("T047", "T023"),
        modality="PET",
        population=3,
    )
    drawn = replace(SMALL, items=(*SMALL.items, unseen))
    assert list(read_key(written(tmp_path, drawn) / "secret/key.csv").values())[-1] == unseen


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (written(tmp_path / "a", raters=2), written(tmp_path / "b", raters=2))
    )
    assert first == second


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(UsageFault, match="is there already"):
        written(tmp_path)


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    bare = replace(material(), pictures={})
    with pytest.raises(UsageFault, match="drawn images have no picture, such as image_0"):
        write_audit(tmp_path / "audit", SMALL, bare, OPTIONS, HandingOut())

    def fail() -> bytes:
        raise RejectedInput("damaged")

    damaged = {name: Picture(suffix=".jpg", read=fail) for name in material().images}
    with pytest.raises(RejectedInput, match="damaged"):
        write_audit(tmp_path / "audit", SMALL, replace(material(), pictures=damaged), OPTIONS, HandingOut())
    assert list(tmp_path.iterdir()) == []


def test_concepts_without_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="drawn concepts have no name, such as C0000000: raters read names"):
        write_audit(tmp_path / "audit", SMALL, replace(material(), concepts={}), OPTIONS, HandingOut())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("q000000000001,secret,i,C0000001,T047,,5", "kind 'secret', expected one of automatic, decoy"),
        ("1,decoy,i,C0000001,T047,,5", "item '1', expected q and 12 hexadecimal digits"),
        ("q000000000001,decoy,i,C0000001,,,5", "no semantic type, expected one"),
        ("q000000000001,decoy,i,C0000001,T047,,-5", "population '-5', expected a whole number"),
        ("q000000000001,automatic,i,C0000001,T047,,0", "population 0, expected 1 or more"),
    ],
)
def test_a_broken_key_is_rejected_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "key.csv"
    path.write_text(f"item,kind,image,cui,types,modality,population\n{row}\n", encoding="utf-8")
    with pytest.raises(RejectedInput, match=f"key.csv:2: {message}"):
        read_key(path)


def test_automatic_concepts_are_those_that_are_not_manual(sample: Path) -> None:
    first = read_images(tables_of(sample))[0]
    assert first.image_id == "sample_test_000001"
    assert first.automatic == ("C0018787", "C0011980", "C0035561")
    assert first.modality == "X-ray"


def test_a_concept_of_several_types_counts_under_the_first(tmp_path: Path) -> None:
    path = tmp_path / "mentions.csv"
    path.write_text(
        "ID,start,end,text,cui,name,types,accuracy,removed\n"
        "a,0,4,cyst,C0010709,Cyst,T190;T047,1,\n"
        "b,0,4,cyst,C0010709,Cyst,T190;T047,1,\n",
        encoding="utf-8",
    )
    concept = read_concepts([path], [])["C0010709"]
    assert (concept.type, concept.name) == ("T047", "Cyst")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("cui,types\nC0000001,T047\nC0000001,T023\n", "types.csv:3: C0000001 is of type T023, above of T047"),
        ("cui,types\nheart,T047\n", "types.csv:2: 'heart' is no CUI"),
        ("cui,types\nC0000001,organ\n", "types.csv:2: 'organ' is no semantic type"),
        ("cui,name\nC0000001,x\n", "types.csv:1: no column types"),
    ],
)
def test_broken_tables_of_types_are_rejected(tmp_path: Path, lines: str, message: str) -> None:
    path = tmp_path / "types.csv"
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(RejectedInput, match=message):
        read_concepts([path], [])


def test_a_manual_table_that_lacks_an_image_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("ID,CUIs\na,C0000001\nb,C0000001\n", encoding="utf-8")
    (tmp_path / "m.csv").write_text("ID,CUIs\na,\n", encoding="utf-8")
    with pytest.raises(RejectedInput, match=r"m\.csv: no row of 1 images .*, such as b"):
        read_images(Tables(concepts=(tmp_path / "c.csv",), manual=(tmp_path / "m.csv",)))


def test_a_dataset_is_sampled_answered_and_scored(
    run: Callable[..., Answer], tmp_path: Path, sample: Path, types: Path
) -> None:
    out = tmp_path / "audit"
    answer = run("sample", sample, "--types", types, "--images", 6, "--format", "wide-csv", "--out", out)
    assert (answer.code, answer.err) == (0, "")
    assert "automatic concepts among" in answer.out
    exports = []
    for part in ("concepts", "missed"):
        with (out / f"raters/rater-1/{part}/tasks.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        facets = [name for name in rows[0] if name == "concept" or name.startswith("missed_")]
        for row in rows:
            row |= {name: "yes" if name == "concept" else "none" for name in facets}
        exports.append(tmp_path / f"{part}.csv")
        with exports[-1].open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    key = out / "secret/key.csv"
    scored = run("score", *exports, "--key", key, "--rater", "rater-1", "--format", "json")
    document = json.loads(scored.out)
    assert (scored.code, scored.err) == (0, "")
    assert document["overall"]["precision"]["value"] == 1.0
    assert document["overall"]["false_negative_rate"]["value"] == 0.0
    assert [rater["is_flagged"] for rater in document["raters"]] == [True]


def test_answers_in_one_row_each_are_scored(run: Callable[..., Answer], tmp_path: Path) -> None:
    out = written(tmp_path)
    export = tmp_path / "answers.csv"
    given = answers(list(SMALL.items), truth_of(IMAGES, CONCEPTS))
    lines = [f"{each.image},{each.facet},{each.cui},{each.rater}" for each in given]
    export.write_text("\n".join(["image,facet,CUI,rater", *lines]) + "\n", encoding="utf-8")
    scored = run("score", export, "--key", out / "secret/key.csv")
    assert scored.code == 0
    assert "rater-1: 52 answers, 0 unsure; 0.000 [0.000, 0.161] of 20 decoys" in scored.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--decoys", "0.9"], "decoys is 0.9, expected a share from 0 to 0.5"),
        (["--overlap", "2"], "overlap is 2, expected a share from 0 to 1"),
        (["--concepts", "1"], "1 are too few for 20 of each of 2 strata"),
        (["--ask", "T999"], "no automatic concept is of the type T999; there are T023, T047"),
        (["--images", "600"], "images for missed concepts leave none"),
    ],
)
def test_wrong_options_end_with_2(
    run: Callable[..., Answer], sample: Path, types: Path, arguments: list[str], message: str
) -> None:
    fixed = ["sample", sample, "--types", types, "--out", types.parent / "audit", "--images", 5]
    answer = run(*fixed, *arguments)
    assert answer.code == 2
    assert message in answer.err


def test_tables_of_concepts_need_the_manual_ones(
    run: Callable[..., Answer], tmp_path: Path, sample: Path
) -> None:
    answer = run("sample", sample / "test_concepts.csv", "--out", tmp_path / "audit")
    assert answer.code == 2
    assert "tables of concepts need --manual" in answer.err


def test_something_else_than_a_key_ends_with_1(run: Callable[..., Answer], sample: Path) -> None:
    answer = run("score", sample / "test_concepts.csv", "--key", sample / "test_concepts.csv")
    assert answer.code == 1
    assert "test_concepts.csv:1: no column item, kind, image" in answer.err


def test_licences_of_the_bundled_sample_are_not_told(run: Callable[..., Answer], sample: Path) -> None:
    answer = run("licences", sample)
    assert answer.code == 0
    assert "not told: 44 (100 %)" in answer.out


@pytest.mark.parametrize("name", ["sample", "score", "licences"])
def test_every_command_has_an_example(run: Callable[..., Answer], name: str) -> None:
    assert f"rocov2-build audit {name}" in run(name, "--help").out
