"""Runs and truths as other programs write them, through the commands, and `convert`."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import ExitCode

Call = Callable[..., Any]
CUIS = {"i1": "C0040405;C0817096", "i2": "C1306645"}
CAPTIONS = {"i1": "CT of the chest, axial", "i2": 'Plain "x-ray"; left hand'}
OFFICIAL = 'ID,Caption\ni1,"CT of the chest, axial"\ni2,"Plain ""x-ray""; left hand"\n'
RECORDS = [{"image_id": image, "caption": text} for image, text in CAPTIONS.items()]
COLUMNS = {"image_id": list(CAPTIONS), "caption": list(CAPTIONS.values())}


@pytest.fixture
def truth() -> Path:
    """Return a dataset folder with the two images, one split."""
    folder = Path("data")
    folder.mkdir()
    (folder / "test_captions.csv").write_text(OFFICIAL, encoding="utf-8")
    rows = "".join(f"{image},{cuis}\n" for image, cuis in CUIS.items())
    (folder / "test_concepts.csv").write_text(f"ID,CUIs\n{rows}", encoding="utf-8")
    return folder


@pytest.fixture
def scored(call: Call, truth: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that scores a file and returns result.json; captions by ROUGE alone."""

    def score(name: str, content: bytes | str, *options: object) -> dict[str, Any]:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        answer = call("score", name, "--truth", truth, "--format", "json", "--no-ci", *options)
        assert answer.code == ExitCode.OK, answer.err
        document: dict[str, Any] = json.loads(answer.out)
        return document

    return score


def table(columns: dict[str, list[Any]], write: Callable[..., None] = parquet.write_table) -> bytes:
    buffer = io.BytesIO()
    write(pa.table(columns), buffer)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def separated(mark: str, header: str = "image_id{}caption\n") -> str:
    cells = ('"' + text.replace('"', '""') + '"' for text in CAPTIONS.values())
    rows = "".join(f"{image}{mark}{cell}\n" for image, cell in zip(CAPTIONS, cells, strict=True))
    return header.format(mark) + rows


def counted(mark: str, first: int) -> str:
    """Return rows with their number before them."""
    rows = separated(mark, "").splitlines()
    return "".join(f'"{number}"{mark}{row}\n' for number, row in enumerate(rows, first))


CAPTION_FILES: dict[str, str | bytes] = {
    "a pandas header.csv": separated(","),
    "semicolons.csv": separated(";"),
    "semicolons without header.csv": separated(";", ""),
    "tabs.tsv": separated("\t"),
    "bars.txt": separated("|"),
    "preset.csv": "sep=;\r\n" + separated(";").replace("\n", "\r\n"),
    "utf-16.csv": OFFICIAL.encode("utf-16"),
    "utf-16 and tabs.txt": separated("\t").encode("utf-16"),
    "utf-16 without mark.csv": OFFICIAL.encode("utf-16-le"),
    "utf-32.csv": OFFICIAL.encode("utf-32"),
    "excel.csv": separated(";").encode("utf-8-sig"),
    "gz.csv.gz": gzip.compress(OFFICIAL.encode()),
    "index.csv": ",image_id,caption\n" + counted(",", 0),
    "official names and index.csv": ",ID,Caption\n" + counted(",", 0),
    "index without header.csv": counted(",", 0),
    "row names of R.csv": '"ID","Caption"\n' + counted(",", 1),
    "blanks of R.txt": '"image_id" "caption"\n' + counted(" ", 1),
    "turned round.csv": 'caption,image_id\n"CT of the chest, axial",i1\n"Plain ""x-ray""; left hand",i2\n',
    "a third column.csv": "image_id,caption,score\n" + separated(",", "").replace('"\n', '",0.5\n'),
    "neutral.csv": separated(",", "ID{}prediction\n"),
    "beside the truth.jsonl": "".join(
        json.dumps({"image_id": image, "caption": "another", "prediction": text}) + "\n"
        for image, text in CAPTIONS.items()
    ),
    "an answer a line.jsonl": "".join(json.dumps({image: text}) + "\n" for image, text in CAPTIONS.items()),
    "answers under a name.json": json.dumps({"predictions": CAPTIONS}),
    "lines.jsonl": "".join(json.dumps(record) + "\n" for record in RECORDS),
    "lines.json": "".join(json.dumps(record) + "\n" for record in RECORDS),
    "records.json": json.dumps(RECORDS, indent=1),
    "pairs.json": json.dumps(list(CAPTIONS.items())),
    "dict.json": json.dumps(CAPTIONS),
    "dict of lists.json": json.dumps({image: [text] for image, text in CAPTIONS.items()}),
    "coco.json": json.dumps(
        {"images": [], "annotations": [{"id": n, **record} for n, record in enumerate(RECORDS)]}
    ),
    "columns.json": json.dumps(COLUMNS),
    "pandas columns.json": json.dumps({name: dict(enumerate(cells)) for name, cells in COLUMNS.items()}),
    "pandas index.json": json.dumps(dict(enumerate(RECORDS))),
    "pandas split.json": json.dumps(
        {"columns": list(COLUMNS), "index": [0, 1], "data": [list(record.values()) for record in RECORDS]}
    ),
    "table.parquet": table(COLUMNS),
    "table.feather": table(COLUMNS, feather.write_feather),
    "zip.zip": zipped(
        **{
            "out/run.jsonl": "".join(json.dumps(record) + "\n" for record in RECORDS).encode(),
            "out/.DS_Store": b"\0\1",
            "__MACOSX/out/._run.jsonl": b"\0\5",
            "Thumbs.db": b"\0",
        }
    ),
}


@pytest.mark.parametrize("name", CAPTION_FILES)
def test_a_caption_run_of_any_form_scores_as_the_official_one(
    scored: Callable[..., dict[str, Any]], name: str
) -> None:
    document = scored(name, CAPTION_FILES[name], "--metric", "rouge", "--task", "captions")
    assert document["metrics"]["rouge1"]["mean"] == 1.0


PLAIN = list(CUIS.values())
BY_PANDAS = {  # ids in the index, which has no name
    "frame as CSV": "".join(f"{row}\n" for row in (",cuis", *map(",".join, CUIS.items()))),
    "frame of two columns": ",cuis,time\n" + "".join(f"{image},{cuis},0.5\n" for image, cuis in CUIS.items()),
    "Series as CSV": "".join(f"{row}\n" for row in (",0", *map(",".join, CUIS.items()))),
    "index set free": "".join(f"{row}\n" for row in ("index,cuis", *map(",".join, CUIS.items()))),
    "columns": json.dumps({"cuis": CUIS}),
    "two columns": json.dumps({"cuis": CUIS, "time": dict.fromkeys(CUIS, 0.5)}),
    "index": json.dumps({image: {"cuis": cuis, "time": 0.5} for image, cuis in CUIS.items()}),
    "split": json.dumps({"columns": ["cuis"], "index": list(CUIS), "data": [[cuis] for cuis in PLAIN]}),
    "Series as split": json.dumps({"name": None, "index": list(CUIS), "data": PLAIN}),
    "table": json.dumps({"schema": {}, "data": [{"index": i, "cuis": c, "t": 1} for i, c in CUIS.items()]}),
}


@pytest.mark.parametrize("task", ["concepts", "captions"])
def test_a_truth_of_both_tasks_in_one_file_is_found_in_its_folder(call: Call, task: str) -> None:
    rows = "".join(f'{i},"{c}",{CUIS[i]}\n' for i, c in {"i1": "CT, axial", "i2": "left hand"}.items())
    Path("both").mkdir()
    Path("both/valid.csv").write_text(f"ID,Caption,CUIs\n{rows}", encoding="utf-8")
    answers = CUIS if task == "concepts" else {"i1": '"CT, axial"', "i2": "left hand"}
    Path("run.csv").write_text("".join(map("{0[0]},{0[1]}\n".format, answers.items())), encoding="utf-8")
    answer = call("validate", "run.csv", "--truth", "both", "--task", task)
    assert (answer.code, "R024 note" in answer.out) == (ExitCode.OK, True)


def test_a_run_without_header_that_seems_of_the_other_task_names_the_option(call: Call, truth: Path) -> None:
    Path("run.csv").write_text("i1,\"['C0040405', 'C0817096']\"\ni2,['C1306645']\n", encoding="utf-8")
    answer = call("score", "run.csv", "--truth", truth / "test_concepts.csv")
    assert "the run captions: if the run contains concepts, too, add --task concepts" in answer.err


def test_the_index_of_pandas_holds_the_ids_of_parquet(scored: Callable[..., dict[str, Any]]) -> None:
    content = table({"cuis": PLAIN, "time": [0.5, 0.6], "__index_level_0__": list(CUIS)})
    assert scored("run.parquet", content)["metrics"]["concept_f1"]["mean"] == 1.0


@pytest.mark.parametrize("form", BY_PANDAS)
def test_the_index_of_pandas_holds_the_ids_where_no_column_does(
    scored: Callable[..., dict[str, Any]], form: str
) -> None:
    assert scored("run.any", BY_PANDAS[form])["metrics"]["concept_f1"]["mean"] == 1.0


def test_concepts_as_objects_are_told_from_captions(scored: Callable[..., dict[str, Any]]) -> None:
    content = json.dumps({i: [{"cui": cui, "p": 0.9} for cui in c.split(";")] for i, c in CUIS.items()})
    assert scored("run.json", content)["metrics"]["concept_f1"]["mean"] == 1.0


@pytest.mark.parametrize("edition", ["imageclef-2018", "imageclef-2022", "imageclef-2026"])
@pytest.mark.parametrize(
    "content",
    [
        "image_id;cuis\ni1;C0040405;C0817096\ni2;C1306645\n",
        "i1;C0040405;C0817096\ni2;C1306645\n",
        'image_id;cuis\ni1;"C0040405;C0817096"\ni2;C1306645\n',
        json.dumps({image: cuis.split(";") for image, cuis in CUIS.items()}),
        table({"image_id": list(CUIS), "cui": [cuis.split(";") for cuis in CUIS.values()]}),
    ],
    ids=["semicolons throughout", "semicolons alone", "semicolons", "JSON lists", "Parquet lists"],
)
def test_a_concept_run_of_any_form_scores_in_any_edition(
    scored: Callable[..., dict[str, Any]], content: str | bytes, edition: str
) -> None:
    document = scored("run.any", content, "--edition", edition)
    assert document["metrics"]["concept_f1"]["mean"] == 1.0


def test_an_official_run_has_no_note_and_another_form_names_the_command_that_writes_it(
    scored: Callable[..., dict[str, Any]],
) -> None:
    official = scored("run.csv", "ID,CUIs\ni1,C0040405;C0817096\ni2,C1306645\n")["official"]
    other = scored("my run.jsonl", '{"id": "i1", "cui": "C1"}\n{"id": "i2", "cui": "C2"}\n')["official"]
    expected = (
        "the platform does not accept this file (JSON Lines): `rocov2-eval convert 'my run.jsonl' -o "
        "'my run.csv' --edition rocov2` writes an accepted one"
    )
    assert ([], [expected]) == (official["notes"], other["notes"])
    assert (official["comparable"], other["comparable"]) == (True, False)


def test_a_strict_check_rejects_what_the_platform_will_not_take(call: Call, truth: Path) -> None:
    Path("run.csv").write_text("ID;CUIs\ni1;C1\ni2;C2\n", encoding="utf-8")
    words = ("validate", "run.csv", "--truth", truth, "--edition", "imageclef-2026")
    assert [call(*words).code, call(*words, "--strict").code] == [ExitCode.OK, ExitCode.INPUT_REJECTED]


def test_columns_may_be_named(scored: Callable[..., dict[str, Any]]) -> None:
    content = "key,first,second\ni1,x,CT of the chest\ni2,y,hand\n"
    options = ("--id-column", "key", "--value-column", "second", "--task", "captions", "--metric", "rouge")
    assert scored("run.csv", content, *options)["metrics"]["rouge1"]["n"] == 2


def test_a_column_that_is_not_there_is_told_with_those_that_are(call: Call, truth: Path) -> None:
    Path("run.csv").write_text("image_id,caption\ni1,x\n", encoding="utf-8")
    answer = call("score", "run.csv", "--truth", truth, "--value-column", "text")
    assert answer.code == ExitCode.USAGE
    assert "no column 'text', expected one of 'image_id', 'caption'" in answer.err


def test_a_run_comes_through_the_standard_input(
    call: Call, truth: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(json.dumps({"ID": image, "cuis": cuis}) + "\n" for image, cuis in CUIS.items())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    answer = call("score", "-", "--truth", truth, "--no-ci", "--format", "json")
    assert json.loads(answer.out)["metrics"]["concept_f1"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ('{"i1": "C1", "i1": "C2", "i2": "C3"}', "R103", "'i1' appeared on line 1 already"),
        (
            '[{"id": "i1", "cui": "C1"},\n {"id": "i1", "cui": "C2"}]',
            "R103",
            "'i1' appeared on line 1 already",
        ),
        ('{"id": "i1", "cui": "C1"}\n{"id": "i2", "cui": \n', "R011", "not JSON"),
        ('{"id": "i1", "id": "i2", "cui": "C1"}\n{"id": "i2", "cui": "C2"}', "R011", "a key appears twice"),
        ('{"i1": "C1", "i2": "\\ud800"}', "R011", "half a surrogate pair"),
        ('{"i1": true, "i2": "C1"}', "R011", "expected a text"),
        ('[{"a": "x", "b": "y", "c": "z"}]', "R012", "no column of ids, found 'a', 'b', 'c'"),
        ("[" * 100_000, "R011", "nested too deeply"),
    ],
)
def test_a_broken_json_run_is_a_finding_with_its_place(
    call: Call, truth: Path, content: str, code: str, words: str
) -> None:
    Path("run.json").write_text(content, encoding="utf-8")
    answer = call("score", "run.json", "--truth", truth, "--task", "concepts")
    assert answer.code == ExitCode.INPUT_REJECTED
    assert f" {code} " in answer.err
    assert words in answer.err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "run.xlsx",
            zipped(**{"xl/workbook.xml": b"", "[Content_Types].xml": b""}),
            "Excel workbook (.xlsx)",
        ),
        ("run.csv", zipped(**{"xl/workbook.xml": b""}), "Excel workbook (.xlsx)"),
        ("run.ods", zipped(mimetype=b"", **{"content.xml": b""}), "LibreOffice"),
        ("run.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Excel workbook (.xls)"),
        ("run.pkl", b"\x80\x04\x95\xff\0\0\0\0", "pickle"),
        ("run.csv", bytes(range(256)) * 4, "binary file"),
        (
            "run.tar.gz",
            gzip.compress(b"run.csv".ljust(257, b"\0") + b"ustar".ljust(255, b"\0"), mtime=0),
            "tar archive",
        ),
        ("run.pdf", b"%PDF-1.7\n\xff\xfe", "PDF"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name_and_never_with_iconv(
    call: Call, truth: Path, name: str, content: bytes, words: str
) -> None:
    Path(name).write_bytes(content)
    answer = call("validate", name, "--truth", truth)
    assert answer.code == ExitCode.INPUT_REJECTED
    assert f"{name}: R010 " in answer.out
    assert words in answer.out
    assert "iconv" not in answer.out


def test_a_table_with_nul_bytes_is_a_table(call: Call, truth: Path) -> None:
    Path("run.csv").write_bytes(b"ID,CUIs\ni1,C0040405\0\ni2,C1306645\0\n")
    answer = call("validate", "run.csv", "--truth", truth)
    assert ("R112 " in answer.out, "R010" in answer.out) == (True, False)


# ---- convert


@pytest.mark.parametrize(
    "edition", ["rocov2", "imageclef-2018", "imageclef-2022", "imageclef-2023", "imageclef-2026"]
)
def test_convert_writes_a_file_that_needs_no_conversion(call: Call, truth: Path, edition: str) -> None:
    Path("run.json").write_text(json.dumps(dict(reversed(CAPTIONS.items()))), encoding="utf-8")
    words = ("--edition", edition, "--truth", truth)
    assert call("convert", "run.json", "-o", "run.csv", *words).code == ExitCode.OK
    strict = ["--strict"] if EDITIONS[edition].precheck else []
    answer = call("validate", "run.csv", *words, *strict)
    assert answer.out.endswith(
        "SUMMARY run.csv: PASSED, 0 errors, 0 warnings, 1 note\n"
    )  # of the truth's answers


def test_convert_keeps_order_quotes_and_ids_as_the_platform_wants_them(call: Call, truth: Path) -> None:
    Path("run.json").write_text(json.dumps(dict(reversed(CAPTIONS.items()))), encoding="utf-8")
    call("convert", "run.json", "-o", "run.zip", "--edition", "imageclef-2026", "--truth", truth)
    with zipfile.ZipFile("run.zip") as archive:
        assert {n: archive.read(n).decode() for n in archive.namelist()} == {"submission.csv": OFFICIAL}


def test_convert_puts_captions_on_one_line_without_the_separator(call: Call) -> None:
    Path("run.json").write_text(json.dumps({"i1": "a\tb\nc", "i2": "d"}), encoding="utf-8")
    call("convert", "run.json", "-o", "run.tsv", "--edition", "imageclef-2018", "--task", "captions")
    assert Path("run.tsv").read_text(encoding="utf-8") == "i1\ta b c\ni2\td\n"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"i1": "C1"}, "R105"),
        ({"i1": "C1", "i2": "C1", "i3": "C1"}, "R104"),
        ({"i1": "C1;C1", "i2": "C1"}, "R202"),
    ],
)
def test_convert_writes_nothing_that_the_platform_would_refuse(
    call: Call, truth: Path, content: dict[str, str], code: str
) -> None:
    Path("run.json").write_text(json.dumps(content), encoding="utf-8")
    answer = call("convert", "run.json", "-o", "run.csv", "--truth", truth)
    assert answer.code == ExitCode.INPUT_REJECTED
    assert f" {code} " in answer.err
    assert not Path("run.csv").exists()


def test_convert_refuses_a_name_that_no_platform_takes(call: Call) -> None:
    assert call("convert", "run.json", "-o", "run.xlsx").code == ExitCode.USAGE


# ---- truths


def in_folder(name: str, content: bytes | str) -> Path:
    path = Path("truth") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Path("truth")


LAYOUT = "ID,CUIs\ni1,C0040405;C0817096\ni2,C1306645\n"
TABS = LAYOUT.replace(",", "\t").replace("CUIs", "cuis")
CONCEPT_TRUTHS: dict[str, str | bytes] = {
    "valid/concepts.csv": LAYOUT,
    "rocov2/valid/valid_concepts.csv": LAYOUT,
    "validation_concepts.csv": LAYOUT,
    "val_concepts.csv": LAYOUT,
    "ImageCLEFmedical_Caption_2023_concept_detection_valid_labels.csv": TABS,
    "ImageCLEFmedical_Caption_2024_valid_concepts.csv": LAYOUT,
    "ImageCLEFmedical_Caption_2025_valid_concepts.csv.gz": gzip.compress(LAYOUT.encode()),
    "data/validation-00000-of-00001.parquet": table(
        {"image_id": list(CUIS), "caption": ["x", "y"], "cui": [cuis.split(";") for cuis in CUIS.values()]}
    ),
    "valid.json": json.dumps([{"image_id": image, "cui": cuis} for image, cuis in CUIS.items()]),
    "valid.jsonl": "".join(json.dumps({"image_id": i, "cui": c}) + "\n" for i, c in CUIS.items()),
    "valid/gold.csv": LAYOUT.replace(",", ";", 1).replace("i1,", "i1;").replace("i2,", "i2;"),
}


@pytest.mark.parametrize("edition", ["rocov2", "imageclef-2023", "imageclef-2026"])
@pytest.mark.parametrize("name", CONCEPT_TRUTHS)
def test_the_truth_is_found_by_the_names_and_forms_of_all_years(call: Call, name: str, edition: str) -> None:
    folder = in_folder(name, CONCEPT_TRUTHS[name])
    in_folder("license_information.csv", "ID,License\ni1,CC BY\n")
    in_folder("train_images.zip", b"PK")
    Path("run.json").write_text(json.dumps(CUIS), encoding="utf-8")
    words = ("run.json", "--truth", folder, "--edition", edition, "--no-ci", "--format", "json")
    answer = call("score", *words)
    assert answer.code == ExitCode.OK, answer.err
    document = json.loads(answer.out)
    assert (document["split"], document["metrics"]["concept_f1"]["mean"]) == ("valid", 1.0)


def test_shards_are_one_truth_and_captions_have_their_concepts_beside_them(call: Call) -> None:
    for number, image in enumerate(CUIS):
        rows = {"image_id": [image], "caption": [CAPTIONS[image]], "cui": [CUIS[image].split(";")]}
        in_folder(f"data/test-{number:05d}-of-00002.parquet", table({"image": [{"bytes": b"x"}], **rows}))
    Path("run.csv").write_text(OFFICIAL, encoding="utf-8")
    words = ("--truth", "truth", "--metric", "rouge", "--by", "concepts", "--no-ci", "--format", "json")
    document = json.loads(call("score", "run.csv", *words).out)
    assert [(row["group"], row["images"]) for row in document["breakdowns"]["concepts"]] == [
        ("1", 1),
        ("2", 1),
    ]


def test_the_split_of_an_arrow_folder_is_told_by_its_folder(call: Call) -> None:
    path = in_folder("test/data-00000-of-00001.arrow", b"") / "test/data-00000-of-00001.arrow"
    rows = pa.table({"image_id": list(CUIS), "cui": [cuis.split(";") for cuis in CUIS.values()]})
    with pa.ipc.new_stream(str(path), rows.schema) as writer:
        writer.write_table(rows)
    in_folder("test/dataset_info.json", '{"builder_name": "x"}')
    Path("run.json").write_text(json.dumps(CUIS), encoding="utf-8")
    document = json.loads(call("score", "run.json", "--truth", "truth", "--no-ci", "--format", "json").out)
    assert (document["split"], document["metrics"]["concept_f1"]["mean"]) == ("test", 1.0)


def test_a_wrong_separator_in_the_truth_is_the_finding_of_the_truth(call: Call) -> None:
    in_folder("test_concepts.csv", "ID;CUIs\ni1;C0040405;C0817096\ni2;C1306645\n")
    Path("run.csv").write_text(LAYOUT, encoding="utf-8")
    answer = call("validate", "run.csv", "--truth", "truth")
    assert answer.code == ExitCode.OK
    form = "the truth was converted from another format: semicolons between cells"
    assert answer.out.startswith(f"truth/test_concepts.csv: R501 warning: {form}\n")
    assert answer.out.count("run.csv: R") == 1  # a note: it has the answers of the truth


def test_where_no_file_is_truth_each_is_named_with_the_reason(call: Call) -> None:
    in_folder("test_captions.csv", OFFICIAL)
    in_folder("concepts_manual.csv", LAYOUT)
    in_folder("license_information.csv", "ID,License\ni1,x\n")
    in_folder("data/test.parquet", table({"image_id": ["i1"], "caption": ["x"]}))
    in_folder("images/i1.jpg", b"x")
    Path("run.csv").write_text(LAYOUT, encoding="utf-8")
    answer = call("score", "run.csv", "--truth", "truth")
    assert answer.code == ExitCode.MISSING_RESOURCE
    assert (
        """
  truth  (--truth)
    concepts_manual.csv: manual concepts are used beside concepts, not as a truth of their own
    license_information.csv: not a truth, according to its name
    test_captions.csv: it contains captions, according to its name
    data/test.parquet: no column cui, found image_id, caption
    1 file that cannot contain a truth, such as images
"""
        in answer.err
    )


@pytest.mark.parametrize("name", ["run.csv", "other.csv", "test_predictions.csv"])
def test_no_run_is_taken_for_the_truth_of_another(call: Call, name: str) -> None:
    in_folder(name, LAYOUT)
    Path("run.csv").write_text(LAYOUT, encoding="utf-8")
    answer = call("score", "run.csv", "--truth", "truth")
    assert answer.code == ExitCode.MISSING_RESOURCE
    assert f"    {name}: " in answer.err


def test_a_header_that_run_and_truth_share_is_scored_where_the_evaluator_does_so(call: Call) -> None:
    content = LAYOUT.replace("ID,CUIs", "image_id,cui")
    in_folder("gold.csv", content)
    Path("run.csv").write_text(content, encoding="utf-8")
    words = ("score", "run.csv", "--truth", "truth/gold.csv", "--no-ci", "--format", "json", "--edition")
    official, ours = call(*words, "imageclef-2024"), call(*words, "rocov2")
    assert [json.loads(answer.out)["metrics"]["concept_f1"]["n"] for answer in (official, ours)] == [3, 2]
    assert "R117 warning: run and truth both start with the header 'image_id'" in official.err
