from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from msgspec.structs import replace

from dataset_builder.packaging import PackageOptions, write_dataset
from dataset_builder.packaging.parquet import parquet_writer
from dataset_builder.records import StageCount
from rocov2_eval.errors import RejectedInput, UsageFault

from made_contents import SALT, contents, figure, figures, picture

SCORER = Path(sysconfig.get_path("scripts")) / "rocov2-eval"
PUBLIC_FILES = [
    *("README.md", "SHA256SUMS", "attribution.csv", "croissant.json", "cui_mapping.csv"),
    *("data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"),
    *("data/validation-00000-of-00001.parquet", "license_information.csv", "manifest.json", "report.html"),
    *(f"test/ROCOv2_test_{number:06d}.jpg" for number in (1, 2, 3)),
    "test_images.csv",
    *(f"train/ROCOv2_train_{number:06d}.jpg" for number in (1, 2, 3, 4)),
    *("train_captions.csv", "train_concepts.csv", "train_concepts_manual.csv"),
    *(f"valid/ROCOv2_valid_{number:06d}.jpg" for number in (1, 2)),
    *("valid_captions.csv", "valid_concepts.csv", "valid_concepts_manual.csv"),
]
TELLING = StageCount(stage="a", title="as in PMC7009", unit="figures", taken=1, kept=1, dropped=())
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a writer of the small dataset: `write(held_out="", contents={"earlier": …})`."""

    def run(name: str = "out", contents_changes: dict[str, Any] | None = None, **options: Any) -> Path:
        target = tmp_path / name
        write_dataset(contents(**(contents_changes or {})), PackageOptions(**options), target)
        return target

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def table(content: bytes | Path) -> list[list[str]]:
    text = (content.read_bytes() if isinstance(content, Path) else content).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


def truth(target: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(target.with_name(f"{target.name}-truth.zip")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_dataset_has_exactly_these_files(write: Write) -> None:
    assert sorted(PUBLIC_FILES) == sorted(files(write()))


def test_tables_are_written_as_rocov2_has_them(write: Write) -> None:
    target = write()
    assert (
        (target / "valid_captions.csv").read_text(encoding="utf-8")
        == 'ID,Caption\nROCOv2_valid_000001,"CT, ""axial"", of the chest of patient 5."\n'
        'ROCOv2_valid_000002,"CT, ""axial"", of the chest of patient 6."\n'
    )
    assert table(target / "valid_concepts.csv")[1] == ["ROCOv2_valid_000001", "C0040405;C0018787;C0000005"]
    assert table(target / "valid_concepts_manual.csv")[1] == ["ROCOv2_valid_000001", "C0040405"]


def test_licences_name_authors_article_and_licence(write: Write) -> None:
    target = write()
    first = [
        "ROCOv2_train_000001",
        "PMC7001",
        "CC BY [Example et al. (2020)]",
        "https://doi.org/10.1234/example.1",
    ]
    assert [["ID", "PMCID", "Attribution", "Link"], first] == table(target / "license_information.csv")[:2]
    assert [
        *("ROCOv2_train_000001", "PMC7001", "10.1234/example.1", "A case, number 1"),
        *("Example, Ada; Sample, Ben; Specimen, Cy", "CC BY", "https://creativecommons.org/licenses/by/3.0/"),
        *("", "Figure 1", "https://doi.org/10.1234/example.1"),
    ] == table(target / "attribution.csv")[1]


def test_a_licence_link_of_another_licence_is_not_taken(write: Write) -> None:
    changed = [figure(number, "train", licence="CC BY-NC") for number in (1, 2)]
    assert {""} == {row[6] for row in table(write("nc", {"figures": changed}) / "attribution.csv")[1:]}


def test_ids_follow_articles_by_number_and_figures(write: Write) -> None:
    changed = [
        figure(1, "train", pmcid="PMC10"),
        figure(2, "train", pmcid="PMC9", number=2),
        figure(3, "train", pmcid="PMC9", number=1),
    ]
    assert [
        row[1] for row in table(write("order", {"figures": changed}, held_out="") / "attribution.csv")[1:]
    ] == ["PMC9", "PMC9", "PMC10"]


def test_held_out_ids_follow_the_salt_and_not_the_articles(tmp_path: Path) -> None:
    many = [figure(number, "test") for number in range(1, 31)] + [figure(99, "train")]
    orders = []
    for salt in (SALT, bytes(32)):
        done = write_dataset(
            contents(figures=many, salt=salt), PackageOptions(parquet=False), tmp_path / "out"
        )
        orders.append([each.pmcid for each in done if each.assignment.split == "test"])
    assert sorted(orders[0]) == sorted(orders[1])
    assert len({tuple(orders[0]), tuple(orders[1]), tuple(sorted(orders[0]))}) == 3


def test_a_short_salt_is_refused(write: Write) -> None:
    with pytest.raises(UsageFault, match="salt: 3 bytes, expected at least 16"):
        write("out", {"salt": b"abc"})


def test_ids_of_an_earlier_edition_stay_and_new_ones_follow_the_largest(tmp_path: Path) -> None:
    earlier = {"PMC7002/fig-2.jpg": "ROCOv2_train_000001", "PMC1/gone.jpg": "ROCOv2_train_000007"}
    done = write_dataset(contents(earlier=earlier), PackageOptions(), tmp_path / "out")
    assert {each.pmcid: each.assignment.image_id for each in done if each.assignment.split == "train"} == {
        "PMC7001": "ROCOv2_train_000008",
        "PMC7002": "ROCOv2_train_000001",
        "PMC7003": "ROCOv2_train_000009",
        "PMC7004": "ROCOv2_train_000010",
    }


@pytest.mark.parametrize(
    ("image_id", "message"),
    [
        ("ROCOv2_test_000001", "was ROCOv2_test_000001 in the earlier edition and is in train now"),
        ("../../etc/passwd", "expected letters, digits"),
        ("PMC7001_1", "expected letters, digits"),
    ],
)
def test_unfit_ids_of_an_earlier_edition_are_refused(write: Write, image_id: str, message: str) -> None:
    with pytest.raises(RejectedInput, match=message):
        write("out", {"earlier": {"PMC7001/fig-1.jpg": image_id}})


def test_assignments_are_what_the_next_edition_takes_as_earlier_ids(write: Write, tmp_path: Path) -> None:
    first = write()
    rows = table(truth(first)["assignments.csv"])
    assert rows[0] == ["PMCID", "file", "split", "ID", "linked"]
    earlier = {f"{pmcid}/{name}": image_id for pmcid, name, _, image_id, _ in rows[1:]}
    more = [*figures(), figure(11, "train"), figure(12, "test")]
    done = write_dataset(
        contents(figures=more, earlier=earlier, salt=bytes(32)), PackageOptions(), tmp_path / "next"
    )
    ids = {each.key: each.assignment.image_id for each in done}
    assert earlier == {key: ids[key] for key in earlier}
    assert {"ROCOv2_train_000005", "ROCOv2_test_000004"} == set(ids.values()) - set(earlier.values())


def test_no_public_file_tells_what_is_held_out(write: Write) -> None:
    target = write()
    for name, content in files(target).items():
        for secret in (b"PMC700", b"patient", b"example.", b"C000000"):
            for number in (7, 8, 9):
                assert secret + (b" %d." if secret == b"patient" else b"%d") % number not in content, name


def test_the_public_names_of_concepts_are_those_outside_the_held_out_split(write: Write) -> None:
    target = write()
    assert table(target / "cui_mapping.csv")[7:] == [
        ["C0018787", "Heart"],
        ["C0040405", "X-Ray Computed Tomography"],
    ]
    public = {row[0] for row in table(target / "cui_mapping.csv")}
    assert {"C0000007", "C0000008", "C0000009"} == {
        row[0] for row in table(truth(target)["cui_mapping.csv"])
    } - public


def test_a_concept_without_name_has_an_empty_cell_and_stands_in_the_manifest(write: Write) -> None:
    target = write()
    assert table(target / "cui_mapping.csv")[1] == ["C0000001", ""]
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    assert [f"C000000{n}" for n in range(1, 7)] == manifest["dataset"]["concepts_without_name"]


def test_the_truth_archive_has_what_organisers_need(write: Write) -> None:
    assert [
        *("README.md", "assignments.csv", "attribution.csv", "cui_mapping.csv", "license_information.csv"),
        *("report.html", "test_captions.csv", "test_concepts.csv", "test_concepts_manual.csv"),
    ] == list(truth(write()))


def test_the_checksum_of_the_truth_stands_beside_it_and_in_the_manifest(write: Write) -> None:
    target = write()
    digest = hashlib.sha256(target.with_name("out-truth.zip").read_bytes()).hexdigest()
    assert f"{digest}  out-truth.zip\n" == target.with_name("out-truth.zip.sha256").read_text(
        encoding="utf-8"
    )
    assert digest == json.loads((target / "manifest.json").read_text(encoding="utf-8"))["truth_sha256"]


def test_the_report_is_public_in_the_folder_and_whole_in_the_archive(write: Write) -> None:
    target = write()
    assert "This page contains only their number, 3 images" in (target / "report.html").read_text(
        encoding="utf-8"
    )
    assert b"Holds the truth" in truth(target)["report.html"]


def test_the_scorer_takes_the_unpacked_truth(write: Write, tmp_path: Path) -> None:
    target = write()
    folder = tmp_path / "truth"
    with zipfile.ZipFile(target.with_name("out-truth.zip")) as archive:
        archive.extractall(folder)
    run = tmp_path / "run.csv"
    run.write_bytes((folder / "test_concepts.csv").read_bytes())
    done = subprocess.run(
        [SCORER, "score", run, "--truth", folder, "--format", "json"], capture_output=True, text=True
    )
    result = json.loads(done.stdout)
    assert (done.returncode, result["split"], result["metrics"]["concept_f1"]["mean"]) == (0, "test", 1.0)


def test_a_held_out_split_has_a_list_of_ids_and_nothing_else(write: Write) -> None:
    assert [["ID"], *([f"ROCOv2_test_{number:06d}"] for number in (1, 2, 3))] == table(
        write() / "test_images.csv"
    )


def test_without_a_held_out_split_everything_is_public_and_there_is_no_archive(
    write: Write, tmp_path: Path
) -> None:
    target = write(held_out="")
    assert (target / "test_captions.csv").is_file()
    assert len(table(target / "attribution.csv")) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_credits_may_name_the_authors_of_held_out_images_without_ids(write: Write) -> None:
    rows = table(write(credits="collective") / "test_credits.csv")
    assert rows[0] == ["Attribution", "Licence", "Link"]
    assert sorted(rows[1:]) == rows[1:]
    assert len(rows[1:]) == 3
    assert "test_0" not in str(rows)


def test_images_may_come_in_archives_that_unpack_to_folders(write: Write) -> None:
    target = write(images="archives")
    with zipfile.ZipFile(target / "valid_images.zip") as archive:
        assert archive.namelist() == ["valid/ROCOv2_valid_000001.jpg", "valid/ROCOv2_valid_000002.jpg"]
    assert not (target / "valid").exists()


def test_the_same_contents_give_the_same_bytes_in_whatever_order_they_come(
    write: Write, tmp_path: Path
) -> None:
    one, other = (
        write("a/out", images="archives"),
        write("b/out", {"figures": figures()[::-1]}, images="archives"),
    )
    assert files(one) == files(other)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_the_list_of_sums_is_what_coreutils_check(write: Write) -> None:
    target = write()
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=target, capture_output=True)
    assert done.returncode == 0
    lines = (target / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert sorted(set(PUBLIC_FILES) - {"SHA256SUMS"}) == [line[66:] for line in lines]


def test_parquet_holds_the_public_images_with_captions_and_concepts(write: Write) -> None:
    target = write()
    rows = pq.read_table(target / "data/validation-00000-of-00001.parquet").to_pylist()
    assert {
        "image": {
            "bytes": (target / "valid/ROCOv2_valid_000001.jpg").read_bytes(),
            "path": "ROCOv2_valid_000001.jpg",
        },
        "image_id": "ROCOv2_valid_000001",
        "caption": 'CT, "axial", of the chest of patient 5.',
        "cui": ["C0040405", "C0018787", "C0000005"],
    } == rows[0]


def test_parquet_of_the_held_out_split_has_images_and_ids_alone(write: Write) -> None:
    held_out = pq.read_table(write() / "data/test-00000-of-00001.parquet")
    assert held_out.column_names == ["image", "image_id"]


def test_parquet_says_which_column_is_an_image(write: Write) -> None:
    metadata = pq.read_schema(write() / "data/train-00000-of-00001.parquet").metadata
    assert json.loads(metadata[b"huggingface"])["info"]["features"]["image"] == {"_type": "Image"}


def test_parquet_is_cut_into_shards_that_say_how_many_they_are(tmp_path: Path) -> None:
    content = picture(1)
    with parquet_writer(tmp_path, "train", is_held_out=False, most_bytes=2 * len(content)) as writer:
        for number in range(5):
            writer.add(figure(number, "train", image_id=f"id_{number}"), content)
        done = writer.finish()
    assert tuple(f"data/train-0000{i}-of-00003.parquet" for i in range(3)) == done.files
    assert sorted(done.files) == sorted(files(tmp_path))
    ids = [pq.read_table(tmp_path / name)["image_id"].to_pylist() for name in done.files]
    assert ids == [["id_0", "id_1"], ["id_2", "id_3"], ["id_4"]]


def card(target: Path) -> tuple[dict[str, Any], str]:
    _, matter, text = (target / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(matter), text


def test_the_card_describes_the_parquet_files(write: Write) -> None:
    matter, _ = card(write())
    held_out = {"config_name": "held_out", "data_files": [{"split": "test", "path": "data/test-*.parquet"}]}
    assert held_out == matter["configs"][1]
    assert [(split["name"], split["num_examples"]) for split in matter["dataset_info"][0]["splits"]] == [
        ("train", 4),
        ("validation", 2),
    ]
    assert matter["size_categories"] == ["n<1K"]


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (("CC BY", "CC0"), "cc-by-4.0"),
        (("CC BY", "CC BY-NC"), "cc-by-nc-4.0"),
        (("CC BY", "CC BY-SA"), "other"),
    ],
)
def test_the_dataset_has_the_strictest_licence_of_its_images(
    write: Write, licences: tuple[str, str], expected: str
) -> None:
    changed = [figure(number, "train", licence=licence) for number, licence in enumerate(licences)]
    assert expected == card(write("out", {"figures": changed}))[0]["license"]


def test_croissant_names_every_table_with_its_sum(write: Write) -> None:
    target = write()
    document = json.loads((target / "croissant.json").read_text(encoding="utf-8"))
    assert {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files(target).items()
        if name.endswith((".csv", ".parquet"))
    } == {item["@id"]: item["sha256"] for item in document["distribution"]}


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
@pytest.mark.parametrize("images", ["folders", "archives"])
def test_croissant_is_valid_and_its_records_can_be_read(write: Write, images: str) -> None:
    import mlcroissant

    target = write(images=images, published="2026-11-24", url="https://example.org/dataset")
    dataset = mlcroissant.Dataset(target / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("valid_captions"))
    assert records[0]["valid_captions/ID"] == b"ROCOv2_valid_000001"


def test_the_manifest_holds_provenance_as_it_was_given_and_the_counts(write: Write) -> None:
    manifest = json.loads((write() / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["config"] == {"split": {"seed": 1}}
    assert manifest["counts"][0]["dropped"] == [["too short", 3]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"provenance": {"input": "PMC7008"}}, "manifest.json would reveal articles of held-out images"),
        ({"provenance": {"salt": SALT.hex()}}, "manifest.json would reveal the salt"),
        ({"provenance": {"counts": 1}}, "provenance: counts would hide"),
        ({"counts": (TELLING,)}, "report.html would tell articles|README.md would tell articles|manifest"),
        ({"figures": []}, "no figure is left for the dataset"),
        (
            {"figures": [*figures(), figure(1, "test", number=2)]},
            "PMC7001 is in train and in the held-out test",
        ),
        ({"figures": [*figures(), figure(1, "train")]}, "occurs 2 times"),
        ({"figures": [figure(1, "dev")]}, "split 'dev', expected one of train, valid, test"),
        ({"figures": [figure(1, "train", licence="")]}, "has no licence: its stage must run"),
        ({"figures": [figure(1, "train", image=None)]}, "has no image: its stage must run"),
        ({"figures": [figure(1, "train", caption="a\nb")]}, "line breaks or control characters"),
        ({"read": lambda _: picture(0)}, "PMC7001/fig-1.jpg has changed since it was read"),
    ],
)
def test_what_is_not_fit_to_be_published_is_refused_and_leaves_nothing(
    write: Write, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RejectedInput, match=message):
        write("out", changes)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_image_is_refused_by_name(write: Write) -> None:
    broken = figure(1, "train")
    assert broken.image is not None
    facts = replace(broken.image, sha256=hashlib.sha256(b"junk").hexdigest())
    changes = {"figures": [replace(broken, image=facts)], "read": lambda _: b"junk"}
    with pytest.raises(RejectedInput, match=r"PMC7001/fig-1\.jpg: the image cannot be read"):
        write("out", changes)


def test_an_empty_split_has_tables_without_rows(write: Write) -> None:
    target = write("out", {"figures": [each for each in figures() if each.assignment.split != "valid"]})
    assert (target / "valid_captions.csv").read_text(encoding="utf-8") == "ID,Caption\n"
    assert not (target / "data/validation-00000-of-00001.parquet").exists()
