from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.facets import FACETS, Choice, Facet
from dataset_builder.study.annotations import Annotation, Export, RatingTask, utc_time
from dataset_builder.study.answer_tables import write_annotations
from dataset_builder.study.formats import FORMATS, picture_name, read, read_export, write
from dataset_builder.study.tool_files import ToolFile
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.csv_files import is_formula

CT, XRAY, PET, CHEST, AP = "C0040405", "C1306645", "C0032743", "C0817096", "C1999039"
KEYS = ("PMC7/a b%.jpg", "ROCOv2_2023_test_000001", "PMC8/größe_1")
# What rater-1 answers to each key: nothing about the last one.
ANSWERS: Mapping[str, Mapping[str, str]] = {
    KEYS[0]: {"modality": XRAY, "region": CHEST, "direction": AP},
    KEYS[1]: {"modality": "combined"},
}
TIME = "2026-01-31T12:00:00.500000Z"

Read = Callable[..., Export]


@pytest.fixture
def tasks(tmp_path: Path) -> list[RatingTask]:
    picture = tmp_path / "picture.JPG"
    picture.write_bytes(b"pixels")
    return [RatingTask(image=key, picture=picture, facets=tuple(FACETS)) for key in KEYS]


@pytest.fixture
def read_text(tmp_path: Path) -> Read:
    """Return a reader of a text, or of a value as JSON."""

    def read_it(content: Any, **options: Any) -> Export:
        path = tmp_path / "export"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_bytes(text.encode())
        return read_export(path, **options)

    return read_it


def label(facet: str, value: str) -> str:
    return next(choice.label for choice in FACETS[facet].choices if choice.value == value)


def expected(time: str = TIME) -> list[Annotation]:
    return [
        Annotation(image=image, facet=facet, cui=cui, rater="rater-1", time=time)
        for image, answers in ANSWERS.items()
        for facet, cui in answers.items()
    ]


def annotated(facet: str = "modality", choice: Any = "CT", **more: Any) -> dict[str, Any]:
    """Return one annotation of Label Studio."""
    result = {"from_name": facet, "to_name": "image", "type": "choices", "value": {"choices": [choice]}}
    return {"id": 1, "result": [result], "was_cancelled": False, "completed_by": 7, **more}


def label_studio(*annotations: Mapping[str, Any], **task: Any) -> list[dict[str, Any]]:
    return [{"id": 1, "data": {"key": "a"}, "annotations": list(annotations), "predictions": [], **task}]


def medcat(*annotations: Mapping[str, Any]) -> dict[str, Any]:
    documents = [{"id": 1, "name": "a", "text": "CT", "annotations": list(annotations)}]
    return {"projects": [{"name": "p", "id": 1, "cuis": "", "documents": documents}]}


def medcat_annotation(**more: Any) -> dict[str, Any]:
    flags = {"validated": True, "correct": True, "deleted": False, "alternative": False, "killed": False}
    time = "2026-01-31 12:00:00.500000+00:00"
    return {"user": "rater-1", "cui": CT, **flags, "last_modified": time, "meta_anns": [], **more}


# Round trips: what is written, answered as the tool answers it, and read.


def test_label_studio_round_trip(tasks: list[RatingTask], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(tasks, FACETS, out, name="label-studio", place="tasks/out")
    documents = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    interface = ET.fromstring((out / "labels.xml").read_text(encoding="utf-8"))  # noqa: S314  our own
    offered = {
        block.attrib["name"]: [choice.attrib["value"] for choice in block.iter("Choice")]
        for block in interface.iter("Choices")
    }
    for task in documents:
        place = task["data"]["image"].removeprefix("/data/local-files/?d=tasks/out/")
        assert (out / place).read_bytes() == b"pixels"
        result = [
            {"from_name": facet, "type": "choices", "value": {"choices": [label(facet, cui)]}}
            for facet, cui in ANSWERS.get(task["data"]["key"], {}).items()
        ]
        assert all(each["value"]["choices"][0] in offered[each["from_name"]] for each in result)
        task["annotations"] = [{"result": result, "completed_by": {"email": "rater-1"}, "updated_at": TIME}]
    (out / "export.json").write_text(json.dumps(documents), encoding="utf-8")
    assert expected() == read(out / "export.json")
    shown = [view.get("whenChoiceValue") for view in interface.findall("View")]
    assert shown == [None, "X-ray", "X-ray"]


def test_medcattrainer_round_trip(tmp_path: Path) -> None:
    tasks = [
        RatingTask(image=key, picture=None, facets=tuple(FACETS), text=f"Caption, {key}") for key in KEYS
    ]
    write(tasks, FACETS, tmp_path, name="medcattrainer")
    documents = [
        {
            "name": key,
            "text": f"Caption, {key}",
            "annotations": [
                medcat_annotation(cui=cui)
                if cui.startswith("C")
                else medcat_annotation(
                    cui="C9999999", meta_anns=[{"name": facet, "value": label(facet, cui), "validated": True}]
                )
                for facet, cui in ANSWERS.get(key, {}).items()
            ],
        }
        for key in KEYS
    ]
    header, *rows = (tmp_path / "dataset.csv").read_text(encoding="utf-8").splitlines()
    assert header == "name,text"
    assert [f'{document["name"]},"{document["text"]}"' for document in documents] == rows
    (tmp_path / "export.json").write_text(json.dumps({"projects": [{"documents": documents}]}))
    assert expected() == read(tmp_path / "export.json")


def test_csv_round_trip_of_a_sheet_filled_in(tasks: list[RatingTask], tmp_path: Path) -> None:
    write(tasks, FACETS, tmp_path, name="csv")
    with (tmp_path / "tasks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert (tmp_path / row["picture"]).is_file()
        answers = ANSWERS.get(row["image"], {})
        if row["facet"] in answers:
            row["CUI"] = label(row["facet"], answers[row["facet"]])
    with (tmp_path / "filled.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    assert expected(time="") == read(tmp_path / "filled.csv", rater="rater-1")


_TEXT = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
    .map(str.strip)
    .filter(lambda text: text and not is_formula(text))
)
_ANNOTATIONS = st.builds(
    lambda image, answer, rater, time: Annotation(
        image=image,
        facet=answer[0],
        cui=answer[1],
        rater=rater,
        time=utc_time(time and time.isoformat(), ""),
    ),
    _TEXT,
    st.sampled_from([(name, it.value) for name, facet in FACETS.items() for it in facet.choices]),
    _TEXT,
    st.none() | st.datetimes(),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(_ANNOTATIONS, min_size=1))
def test_the_table_of_answers_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, annotations: list[Annotation]
) -> None:
    path = tmp_path_factory.mktemp("answers") / "annotations.csv"
    write_annotations(path, annotations)
    assert annotations == read(path)


@given(_TEXT, _TEXT)
def test_no_two_keys_share_the_name_of_a_picture(key: str, other: str) -> None:
    assert (key == other) == (picture_name(key, Path("p.png")) == picture_name(other, Path("p.png")))


_WORDS = st.sampled_from(["CT", "a", "modality", "rater-1", "http://[", "\ud800", "", "C0040405"])
_NAMES = st.sampled_from(
    """data key image annotations result value choices from_name completed_by email updated_at modality
    projects documents name cui user validated correct meta_anns id text""".split()  # noqa: SIM905  a list would be a page
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=25,
)


@pytest.mark.parametrize("name", ["label-studio", "medcattrainer"])
@settings(max_examples=100, deadline=None)
@given(value=_JSON)
def test_no_json_whatever_is_in_it_breaks_a_reader(
    name: str, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = ToolFile(path=Path("export"), text="", document=value)
    try:
        export = FORMATS[name].read(file, FACETS, "")
    except RejectedInput:
        return
    write_annotations(tmp_path_factory.mktemp("answers") / "answers.csv", export.annotations)


# Which format a file is of.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("label-studio", label_studio(annotated())),
        ("medcattrainer", medcat(medcat_annotation())),
        ("csv", "image,facet,CUI,rater\na,modality,CT,rater-1\n"),
    ],
)
def test_the_format_of_a_file_is_seen(name: str, content: Any, tmp_path: Path) -> None:
    path = tmp_path / "export"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8")
    assert (name, 1) == (read_export(path).format, len(read(path, name=name)))
    for other in FORMATS.keys() - {name}:
        with pytest.raises(RejectedInput, match=f"use --from {name}"):
            read(path, name=other)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "unknown format: it is empty"),
        ("a;b\n", r"unknown format: it begins with 'a;b'. Known are label-studio: "),
        ('[{"data": {"key": ', r"export:1: no well-formed JSON: .*; it ends in the middle"),
        ('[{"data": 1,}]', r"export:1: no well-formed JSON: [^;]*$"),
        ("[" * 100_000, "no well-formed JSON: nested too deeply"),
        ("[]", "an empty list; if it has no task, name its format with --from"),
        ("annotation_id,key,modality\n1,a,CT\n", "not JSON-MIN"),
        ('[{"image": "/x/a.jpg", "modality": "CT"}]', "not JSON-MIN"),
        ("x" * 200_000, "it begins with 'xxx"),
        (b"\xff\xfei\x00m\x00", "export:1: byte 0xff is not UTF-8"),
    ],
)
def test_what_is_no_export_is_refused(content: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RejectedInput, match=message):
        read(path)


def test_other_facets_can_be_asked(read_text: Read) -> None:
    choices = (Choice(value="yes", label="It is there"), Choice(value="no", label="It is not"))
    verdict = Facet(name="verdict", title="Is it there?", choices=choices)
    export = read_text(label_studio(annotated("verdict", "It is there")), facets={"verdict": verdict})
    assert [(each.facet, each.cui) for each in export.annotations] == [("verdict", "yes")]


# Label Studio.


@pytest.mark.parametrize(
    ("rater", "name"),
    [
        (7, "7"),
        ("7", "7"),
        ({"id": 7, "email": "rater@example.org", "first_name": ""}, "rater@example.org"),
        ({"id": 7, "email": ""}, "7"),
        (None, "given"),
    ],
)
def test_a_rater_may_be_a_number_or_an_object(rater: object, name: str, read_text: Read) -> None:
    (only,) = read_text(label_studio(annotated(completed_by=rater)), rater="given").annotations
    assert name == only.rater


def test_what_is_no_answer_is_counted(read_text: Read) -> None:
    drawn = {"from_name": "modality", "type": "brushlabels", "value": {"brushlabels": ["CT"]}}
    several = {"from_name": "modality", "value": {"choices": ["CT", "PET"]}}
    content = [
        *label_studio(
            annotated(was_cancelled=True, result=[]),
            annotated(result={}),
            annotated(facet="comment"),
            annotated(result=[drawn]),
            annotated(result=[several]),
            drafts=[annotated()],
            predictions=[annotated()],
        ),
        *label_studio(),
        *label_studio(annotated()),
    ]
    export = read_text(content)
    assert (len(export.annotations), export.left_out) == (
        1,
        {
            "drafts": 1,
            "predictions": 1,
            "tasks without an annotation": 1,
            "cancelled annotations": 1,
            "annotations without an answer": 4,
            "answers to other questions": 1,
            "answers of another type, such as boxes": 1,
            "several answers, expected one": 1,
        },
    )


@pytest.mark.parametrize(
    "written",
    ["CT", " ct ", "C0040405", "c0040405", "X-Ray Computed Tomography", "x-ray  computed tomography"],
)
def test_an_answer_may_be_written_as_label_name_or_cui(written: str, read_text: Read) -> None:
    (only,) = read_text(label_studio(annotated(choice=written))).annotations
    assert only.cui == CT


def test_annotations_without_any_answer_are_refused(read_text: Read) -> None:
    with pytest.raises(RejectedInput, match=r"2 annotations and no answer to modality.*other questions 2"):
        read_text(label_studio(annotated("modalities"), annotated("modalities")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([*label_studio(), 1], "task 2: a number, expected an object"),
        (label_studio(annotations={}), "annotations: an object, expected a list"),
        (label_studio(annotated(result="CT")), "result: text, expected a list"),
        (label_studio(annotated(choice="bone")), "modality: 'bone' is no modality, expected a CUI of it or"),
        (label_studio(annotated(updated_at="soon")), "annotation 1: 'soon' is no time"),
        (label_studio(annotated(completed_by=None)), "annotation 1: .* name the rater with --rater"),
        (label_studio(annotated(), data={"key": []}), "does not name the image"),
        (label_studio(annotated(), data={"key": "\ud800"}), "cannot be written to a file"),
    ],
)
def test_a_broken_task_is_named(content: Any, message: str, read_text: Read) -> None:
    with pytest.raises(RejectedInput, match=message):
        read_text(content)


# MedCATtrainer.


@pytest.mark.parametrize(
    ("flags", "counts"),
    [
        ({}, 1),
        ({"correct": False, "alternative": True}, 1),
        ({"correct": False, "manually_created": True}, 1),
        ({"correct": False}, 0),
        ({"validated": False}, 0),
        ({"deleted": True}, 0),
        ({"killed": True, "correct": False}, 0),
        ({"irrelevant": True}, 0),
        ({"cui": "C9999999"}, 0),
        ({"cui": "C9999999", "meta_anns": {"modality": {"name": "modality", "value": "PET"}}}, 1),
    ],
)
def test_an_annotation_counts_if_a_person_accepted_it(
    flags: Mapping[str, Any], counts: int, read_text: Read
) -> None:
    export = read_text(medcat(medcat_annotation(**flags)))
    assert (counts, 1 - counts) == (len(export.annotations), sum(export.left_out.values()))


# CSV.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image,facet,CUI,rater\na,colour,CT,r\n",
            "export:2: the facet is 'colour', expected one of modality",
        ),
        ("image,facet,CUI,rater\na,region,CT,r\n", "export:2: 'CT' is no region"),
        ("image,facet,CUI,rater\n,modality,CT,r\n", "export:2: the file does not name the image"),
        ("image,facet,CUI,rater\na,modality,CT,\n", "export:2: the file does not name the rater"),
        ("image,facet,CUI,rater\na,modality\n", "export:2: expected 4 cells"),
        ("image,facet,CUI,rater,time\na,modality,CT,r,noon\n", "export:2: 'noon' is no time"),
    ],
)
def test_a_broken_row_is_named(text: str, message: str, read_text: Read) -> None:
    with pytest.raises(RejectedInput, match=message):
        read_text(text)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d", " ="])
@pytest.mark.parametrize("field", ["image", "rater"])
def test_no_answer_is_written_that_a_spreadsheet_would_run(field: str, start: str, tmp_path: Path) -> None:
    fields = {"image": "a", "facet": "modality", "cui": CT, "rater": "rater-1", field: f"{start}1+1"}
    with pytest.raises(RejectedInput, match=rf"the {field} '.*1\+1' begins with"):
        write_annotations(tmp_path / "answers.csv", [Annotation(**fields)])


def test_a_sheet_has_no_formula(tasks: list[RatingTask], tmp_path: Path) -> None:
    write([replace(tasks[0], text='=HYPERLINK("a")')], FACETS, tmp_path, name="csv")
    with (tmp_path / "tasks.csv").open(encoding="utf-8", newline="") as file:
        assert {row["text"] for row in csv.DictReader(file)} == {'\'=HYPERLINK("a")'}
    with pytest.raises(RejectedInput, match="the image '=a' begins with"):
        write([replace(tasks[0], image="=a")], FACETS, tmp_path, name="csv")


# Tasks that a tool cannot show.


@pytest.mark.parametrize(
    ("name", "first", "error", "message"),
    [
        ("medcattrainer", {}, UsageFault, "has no text"),
        ("label-studio", {"picture": None}, UsageFault, "some have none"),
        ("csv", {"image": KEYS[1].lower()}, RejectedInput, "differ in nothing but case"),
    ],
)
def test_what_a_tool_cannot_show_is_refused(  # noqa: PLR0917  a case is four values
    name: str,
    first: dict[str, Any],
    error: type[Exception],
    message: str,
    tasks: list[RatingTask],
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=message):
        write([replace(tasks[0], **first), tasks[1]], FACETS, tmp_path / "out", name=name)
