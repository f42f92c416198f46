from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_builder.curation.annotations import Annotation, Task
from dataset_builder.curation.exchange import Export, utc_time
from dataset_builder.curation.facets import FACETS, Choice, Facet
from dataset_builder.curation.formats import FORMATS, detect, read, read_export, write
from dataset_builder.curation.formulas import is_formula
from dataset_builder.curation.pictures_out import image_key, picture_name
from dataset_builder.curation.sheets import write_annotations
from dataset_builder.curation.tool_files import Opened
from rocov2_eval.errors import RejectedInput, UsageFault

CT, XRAY, CHEST, AP = "C0040405", "C1306645", "C0817096", "C1999039"
LABELS = {CT: "CT", XRAY: "X-ray", CHEST: "chest", AP: "anterior-posterior"}
KEYS = ("PMC7/a b%.jpg", "ROCOv2_2023_test_000001", "PMC8/größe_1")
# What rater-1 answers to each key: nothing about the last one.
ANSWERS: Mapping[str, Mapping[str, str]] = {
    KEYS[0]: {"modality": XRAY, "region": CHEST, "direction": AP},
    KEYS[1]: {"modality": "combined"},
}
TIME = "2026-01-31T12:00:00.500000Z"


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    picture = tmp_path / "picture.JPG"
    picture.write_bytes(b"pixels")
    return [Task(image=key, picture=picture, facets=tuple(FACETS)) for key in KEYS]


@pytest.fixture
def read_text(tmp_path: Path) -> Callable[..., Export]:
    """Return a reader of a text, or of a value as JSON."""

    def read_it(content: Any, **options: Any) -> Export:
        path = tmp_path / "export"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_bytes(text.encode())
        return read_export(path, **options)

    return read_it


def label(facet: str, value: str) -> str:
    return next(choice.label for choice in FACETS[facet].choices if choice.value == value)


def expected(tool: str, time: str = TIME, rater: str = "rater-1") -> list[Annotation]:
    return [
        Annotation(image=image, facet=facet, cui=cui, rater=rater, time=time, tool=tool)
        for image, told in ANSWERS.items()
        for facet, cui in told.items()
    ]


def annotated(facet: str = "modality", choice: str = "CT", **more: Any) -> dict[str, Any]:
    """Return one annotation of Label Studio."""
    result = {
        "id": "Dx",
        "from_name": facet,
        "to_name": "image",
        "type": "choices",
        "value": {"choices": [choice]},
    }
    return {"id": 1, "result": [result], "was_cancelled": False, "completed_by": 7, **more}


def label_studio(*annotations: Mapping[str, Any], **task: Any) -> list[dict[str, Any]]:
    return [{"id": 1, "data": {"key": "a"}, "annotations": list(annotations), "predictions": [], **task}]


def medcat(*annotations: Mapping[str, Any]) -> dict[str, Any]:
    documents = [{"id": 1, "name": "a", "text": "CT", "annotations": list(annotations)}]
    return {"projects": [{"name": "p", "id": 1, "cuis": "", "documents": documents}]}


def medcat_annotation(**more: Any) -> dict[str, Any]:
    flags = {"validated": True, "correct": True, "deleted": False, "alternative": False, "killed": False}
    return {
        "id": 1,
        "user": "rater-1",
        "cui": CT,
        "value": "CT",
        **flags,
        "last_modified": "2026-01-31 12:00:00.500000+00:00",
        "manually_created": False,
        "acc": 1.0,
        "meta_anns": [],
        **more,
    }


def prodigy_line(**more: Any) -> str:
    line = {"key": "a", "facet": "modality", "accept": [CT], "answer": "accept", "_view_id": "choice"}
    return json.dumps({**line, "_annotator_id": "set-rater-1", "_timestamp": 1769860800, **more}) + "\n"


def cvat(body: str, meta: str = "<job><assignee>rater-1</assignee></job>") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        f"  <meta>{meta}<dumped>2026-01-31 13:00:00.5+01:00</dumped></meta>\n  {body}\n</annotations>\n"
    )


# Round trips: what is written, answered as the tool answers it, and read.


def test_label_studio_round_trip(tasks: list[Task], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(tasks, FACETS, out, name="label-studio")
    exported = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    interface = ET.fromstring((out / "labels.xml").read_text(encoding="utf-8"))  # noqa: S314  our own
    offered = {
        block.attrib["name"]: [choice.attrib["value"] for choice in block.iter("Choice")]
        for block in interface.iter("Choices")
    }
    for number, task in enumerate(exported):
        result = [
            {"from_name": facet, "type": "choices", "value": {"choices": [label(facet, cui)]}}
            for facet, cui in ANSWERS.get(task["data"]["key"], {}).items()
        ]
        assert all(each["value"]["choices"][0] in offered[each["from_name"]] for each in result)
        task |= {"id": number, "predictions": []}
        task["annotations"] = [{"result": result, "completed_by": {"email": "rater-1"}, "updated_at": TIME}]
    (out / "export.json").write_text(json.dumps(exported), encoding="utf-8")
    assert expected("label-studio") == read(out / "export.json")


def test_label_studio_finds_each_picture_under_its_document_root(tasks: list[Task], tmp_path: Path) -> None:
    write(tasks, FACETS, tmp_path / "out", name="label-studio")
    for task in json.loads((tmp_path / "out" / "tasks.json").read_text(encoding="utf-8")):
        place = task["data"]["image"].removeprefix("/data/local-files/?d=")
        assert (tmp_path / place).read_bytes() == b"pixels"


def test_label_studio_finds_the_pictures_of_each_rater_under_one_root(
    tasks: list[Task], tmp_path: Path
) -> None:
    out = tmp_path / "my tasks" / "rater-1"
    write(tasks[:1], FACETS, out, name="label-studio", root=tmp_path)
    (task,) = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    address = task["data"]["image"]
    assert address == "/data/local-files/?d=my%20tasks/rater-1/images/PMC7~2Fa~20b~25.jpg.jpg"
    (place,) = parse_qs(urlsplit(address).query)["d"]
    assert (tmp_path / place).read_bytes() == b"pixels"


def test_a_document_root_that_is_not_above_the_tasks_is_refused(tasks: list[Task], tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="is not below"):
        write(tasks, FACETS, tmp_path / "out", name="label-studio", root=tmp_path / "other")


def test_label_studio_asks_region_and_direction_of_x_rays_alone(tasks: list[Task], tmp_path: Path) -> None:
    write(tasks, FACETS, tmp_path, name="label-studio")
    interface = ET.parse(tmp_path / "labels.xml").getroot()  # noqa: S314  our own
    shown = [view.get("whenChoiceValue") for view in interface.findall("View")]
    assert shown == [None, "X-ray", "X-ray"]


def test_cvat_round_trip(tasks: list[Task], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(tasks, FACETS, out, name="cvat")
    (tag,) = json.loads((out / "labels.json").read_text(encoding="utf-8"))
    root = ET.fromstring(cvat(""))  # noqa: S314  our own
    for number, picture in enumerate(sorted((out / "images").iterdir())):
        image = ET.SubElement(
            root, "image", id=str(number), name=f"images/{picture.name}", width="9", height="9"
        )
        told = ANSWERS.get(image_key(picture.name))
        if told is None:
            continue
        element = ET.SubElement(image, "tag", label=tag["name"], source="manual")
        for attribute in tag["attributes"]:
            name = attribute["name"]
            text = label(name, told[name]) if name in told else attribute["default_value"]
            assert text in attribute["values"]
            ET.SubElement(element, "attribute", name=name).text = text
    content = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    with zipfile.ZipFile(out / "export.zip", "w") as archive:
        archive.writestr("annotations.xml", content)
        archive.writestr("images/a.jpg", b"pixels")
    found = read_export(out / "export.zip")
    assert sorted(expected("cvat"), key=str) == sorted(found.annotations, key=str)
    assert found.left_out == {"attributes that nobody touched": 2, "images without an answer": 1}


def test_medcattrainer_round_trip(tmp_path: Path) -> None:
    tasks = [Task(image=key, picture=None, facets=tuple(FACETS), text=f"Caption, {key}") for key in KEYS]
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
    assert expected("medcattrainer") == read(tmp_path / "export.json")


def test_prodigy_round_trip(tasks: list[Task], tmp_path: Path) -> None:
    write(tasks, FACETS, tmp_path, name="prodigy")
    lines = []
    for text in (tmp_path / "tasks.jsonl").read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        assert (tmp_path / line["image"]).is_file()
        cui = ANSWERS.get(line["key"], {}).get(line["facet"])
        assert cui is None or cui in {option["id"] for option in line["options"]}
        told = {"accept": [cui] if cui else [], "answer": "accept" if cui else "ignore"}
        lines.append(json.dumps({**line, **told, "_session_id": "rater-1", "_timestamp": 1769860800.5}))
    (tmp_path / "export.jsonl").write_text("\n".join(lines) + "\n")
    found = read_export(tmp_path / "export.jsonl")
    assert expected("prodigy") == list(found.annotations)
    assert found.left_out == {"ignored tasks": 5}


@pytest.mark.parametrize("name", ["long-csv", "wide-csv"])
def test_csv_round_trip_of_a_sheet_filled_in(name: str, tasks: list[Task], tmp_path: Path) -> None:
    write(tasks, FACETS, tmp_path, name=name)
    with (tmp_path / "tasks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert (tmp_path / row["picture"]).is_file()
        told = ANSWERS.get(row["image"], {})
        if name == "wide-csv":
            row |= {facet: label(facet, cui) for facet, cui in told.items()}
        elif row["facet"] in told:
            row["CUI"] = label(row["facet"], told[row["facet"]])
    with (tmp_path / "filled.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    assert expected(name, time="") == read(tmp_path / "filled.csv", rater="rater-1")


_TEXT = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
    .map(str.strip)
    .filter(lambda text: text and not is_formula(text))
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda image, answer, rater, seconds, tool: Annotation(
                image=image,
                facet=answer[0],
                cui=answer[1],
                rater=rater,
                time=utc_time(seconds, ""),
                tool=tool,
            ),
            _TEXT,
            st.sampled_from([(name, it.value) for name, facet in FACETS.items() for it in facet.choices]),
            _TEXT,
            st.none() | st.integers(0, 4_000_000_000),
            st.sampled_from(sorted(FORMATS)),
        ),
        min_size=1,
    )
)
def test_the_table_of_answers_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, annotations: list[Annotation]
) -> None:
    path = tmp_path_factory.mktemp("answers") / "annotations.csv"
    write_annotations(path, annotations)
    assert annotations == read(path)


@given(_TEXT, _TEXT)
def test_the_name_of_a_picture_tells_its_key_and_no_other(key: str, other: str) -> None:
    name = picture_name(key, Path("p.png"))
    assert key == image_key(f"some/folder/{name}")
    assert (key == other) == (name == picture_name(other, Path("p.png")))


_WORDS = st.sampled_from(["CT", "a", "modality", "accept", "rater-1", "http://[", "\ud800", "", "C0040405"])
_KEYS = st.sampled_from(
    """data key image annotations result value choices from_name completed_by email updated_at task projects
    documents name cui user validated correct meta_anns answer accept options id text facet path meta file
    _session_id _timestamp""".split()  # noqa: SIM905  a list would be a page
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@pytest.mark.parametrize("name", ["label-studio", "medcattrainer", "prodigy"])
@settings(max_examples=100, deadline=None)
@given(value=_JSON)
def test_no_json_whatever_is_in_it_breaks_a_reader(
    name: str, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    opened = Opened(path=Path("export"), text=json.dumps(value))
    try:
        export = FORMATS[name].read(opened, FACETS, "")
    except RejectedInput:
        return
    write_annotations(tmp_path_factory.mktemp("answers") / "answers.csv", export.annotations)


# Which format a file is of.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("label-studio", label_studio(annotated())),
        ("cvat", cvat("")),
        ("medcattrainer", medcat(medcat_annotation())),
        ("prodigy", prodigy_line()),
        ("long-csv", "image,facet,CUI,rater\na,modality,CT,rater-1\n"),
        ("wide-csv", "image,modality,rater\na,CT,rater-1\n"),
    ],
)
def test_the_format_of_a_file_is_seen(name: str, content: Any, tmp_path: Path) -> None:
    path = tmp_path / "export"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8")
    assert name == detect(path)
    for other in FORMATS:
        if other == name:
            assert len(read(path, name=other)) <= 1
        else:
            with pytest.raises(RejectedInput, match=f"this is .*, not .*: use --format {name}"):
                read(path, name=other)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "of no format known here: an empty file"),
        ("a;b\n", "of no format known here: a table with semicolons between the columns"),
        ("image\tmodality\n", "of no format known here: a table with tabs between the columns"),
        ("ID,CUIs\n", "of no format known here: a table with the header ID,CUIs"),
        ("hello", "of no format known here: text that begins with 'hello'"),
        ('[{"data": {"key": ', r"export:1: no well-formed JSON: .*; it ends in the middle"),
        ('[{"data": {"key": "a', r"export:1: no well-formed JSON: .*; it ends in the middle"),
        ('[{"data": 1,}]', r"export:1: no well-formed JSON: [^;]*\)\. Known are"),
        ("[" * 100_000, "no JSON that can be read"),
        ("[1" + "0" * 5000 + "]", "no JSON that can be read"),
        ("null", "of no format known here"),
        ("[]", "an empty JSON list; if it is an export without a task, name its format with --format"),
        ("[1]", "a JSON list of no objects"),
        ('[{"a": 1}]', "a JSON list of objects with the keys 'a'"),
        ('{"answer": 1}', "of no format known here: a JSON object with the keys 'answer'"),
        ("<annotation/>", "of no format known here: XML with the root <annotation>"),
        ("<!DOCTYPE html><html>", "an HTML page"),
        ("<annotations><image</annotations>", "export:1: no well-formed XML"),
        (b"\xff\xfei\x00m\x00", "export:1: byte 0xff is not UTF-8"),
        (b"PK\x03\x04 damaged", "cannot be unpacked"),
        (
            '<!DOCTYPE annotations [<!ENTITY a "b">]><annotations/>',
            "a document type declaration .*, which is refused",
        ),
        (
            '<annotations><!-- <!ENTITY a "b"> --><track id="0"/></annotations>',
            "this is CVAT for video 1.1",
        ),
    ],
)
def test_what_is_no_export_is_refused(content: str | bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RejectedInput, match=message):
        read(path)


@pytest.mark.parametrize(("name", "content"), [("label-studio", "[]"), ("prodigy", ""), ("cvat", cvat(""))])
def test_an_export_without_a_task_is_told_as_such(
    name: str, content: str, read_text: Callable[..., Export]
) -> None:
    found = read_text(content, name=name)
    assert (found.annotations, len(found.warnings)) == ((), 1)
    assert found.warnings[0].endswith("export: an export of 0 tasks")


def test_a_file_without_a_task_is_of_no_other_format(read_text: Callable[..., Export]) -> None:
    with pytest.raises(RejectedInput, match=r"no CVAT for images 1\.1 but an empty JSON list"):
        read_text("[]", name="cvat")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RejectedInput, match="No such file"):
        read(tmp_path / "none.json")


def test_an_archive_with_two_exports_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.json", "[]")
        archive.writestr("b.json", "[]")
    with pytest.raises(RejectedInput, match=r"found 2: a\.json, b\.json"):
        read(tmp_path / "two.zip")


def test_other_facets_can_be_asked(read_text: Callable[..., Export]) -> None:
    verdict = Facet(
        name="verdict",
        title="Is it there?",
        choices=(Choice(value="yes", label="It is there"), Choice(value="no", label="It is not")),
    )
    found = read_text(
        label_studio(annotated("verdict", "It is there")), facets={"verdict": verdict}
    ).annotations
    assert [(each.facet, each.cui) for each in found] == [("verdict", "yes")]


# Label Studio.


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (7, "7"),
        ("7", "7"),
        ({"id": 7, "email": "rater@example.org", "first_name": "", "last_name": ""}, "rater@example.org"),
        ({"id": 7, "email": ""}, "7"),
        (None, "given"),
    ],
)
def test_a_rater_may_be_a_number_or_an_object(
    told: object, name: str, read_text: Callable[..., Export]
) -> None:
    (found,) = read_text(label_studio(annotated(completed_by=told)), rater="given").annotations
    assert name == found.rater


def test_an_unknown_rater_is_asked_for(read_text: Callable[..., Export]) -> None:
    with pytest.raises(RejectedInput, match=r"task 1, annotation 1: .* name the rater with --rater"):
        read_text(label_studio(annotated(completed_by=None)))


def test_several_annotations_of_a_task_are_kept_apart(read_text: Callable[..., Export]) -> None:
    found = read_text(
        label_studio(annotated(completed_by=1), annotated(choice="PET", completed_by=2))
    ).annotations
    assert [(each.rater, each.cui) for each in found] == [("1", CT), ("2", "C0032743")]


def test_what_is_no_answer_is_counted(read_text: Callable[..., Export]) -> None:
    found = read_text(
        [
            *label_studio(
                annotated(was_cancelled=True, result=[]),
                annotated(result={}),
                annotated(facet="comment"),
                annotated(result=[{"from_name": "modality", "value": {"choices": ["CT", "PET"]}}]),
                drafts=[annotated()],
                predictions=[annotated()],
            ),
            *label_studio(),
            *label_studio(annotated(completed_by=8)),
        ]
    )
    found = replace(found, annotations=tuple(it for it in found.annotations if it.rater != "8"))
    assert (found.annotations, dict(sorted(found.left_out.items(), key=lambda it: ORDER.index(it[0])))) == (
        (),
        {
            "drafts": 1,
            "predictions": 1,
            "tasks without an annotation": 1,
            "cancelled annotations": 1,
            "annotations without an answer": 3,
            "answers to other questions": 1,
            "several answers where one was asked for": 1,
        },
    )


ORDER = (
    "drafts",
    "predictions",
    "tasks without an annotation",
    "cancelled annotations",
    "annotations without an answer",
    "answers to other questions",
    "several answers where one was asked for",
)


@pytest.mark.parametrize(
    "written",
    ["CT", " ct ", "C0040405", "c0040405", "X-Ray Computed Tomography", "x-ray  computed tomography"],
)
def test_an_answer_may_be_written_as_label_name_or_cui(
    written: str, read_text: Callable[..., Export]
) -> None:
    (found,) = read_text(label_studio(annotated(choice=written))).annotations
    assert found.cui == CT


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/3/1a2b3c4d-PMC7~2Fa.jpg.jpg",
        "/data/local-files/?d=out/images/PMC7~2Fa.jpg.jpg",
        "https://images.example.org/PMC7~2Fa.jpg.jpg?signature=1",
    ],
)
def test_a_picture_uploaded_by_hand_tells_its_key(address: str, read_text: Callable[..., Export]) -> None:
    (found,) = read_text(label_studio(annotated(), data={"image": address})).annotations
    assert found.image == "PMC7/a.jpg"


@pytest.mark.parametrize(
    ("value", "cuis"),
    [
        ({"taxonomy": [["CT"]]}, [CT]),
        ({"taxonomy": [["radiation", "X-ray"]]}, [XRAY]),
        ({"choices": [["radiation", "X-ray"]]}, [XRAY]),
        ({"taxonomy": []}, []),
    ],
)
def test_of_a_path_through_choices_the_end_is_the_answer(
    value: Any, cuis: list[str], read_text: Callable[..., Export]
) -> None:
    result = [{"from_name": "modality", "type": "taxonomy", "value": value}]
    other = annotated("region", "chest")["result"]
    found = read_text(label_studio(annotated(result=[*result, *other])))
    assert [it.cui for it in found.annotations if it.facet == "modality"] == cuis


def test_an_answer_of_another_type_is_named(read_text: Callable[..., Export]) -> None:
    drawn = {"from_name": "modality", "type": "brushlabels", "value": {"brushlabels": ["CT"]}}
    found = read_text(label_studio(annotated(result=[drawn]), annotated()))
    assert found.left_out == {
        "answers of the type brushlabels, not read": 1,
        "annotations without an answer": 1,
    }


def test_annotations_without_any_answer_are_refused(read_text: Callable[..., Export]) -> None:
    with pytest.raises(RejectedInput, match=r"2 annotations and no answer to modality.*other questions 2"):
        read_text(label_studio(annotated("modalities"), annotated("modalities")))


def test_an_export_of_cancelled_annotations_alone_has_no_answer(read_text: Callable[..., Export]) -> None:
    found = read_text(label_studio(annotated(was_cancelled=True)))
    assert (found.annotations, found.left_out) == ((), {"cancelled annotations": 1})


def test_json_min_is_read_with_a_warning(read_text: Callable[..., Export]) -> None:
    rows = [
        {"image": "/x/a.jpg", "modality": "CT", "annotator": 1, "updated_at": TIME},
        {"image": "/x/b.jpg", "modality": {"choices": ["CT", "PET"]}, "region": [["trunk", "chest"]]},
        {"image": "/x/c.jpg", "annotator": 1},
    ]
    found = read_text(rows, rater="given")
    assert [(it.image, it.facet, it.cui, it.rater, it.time) for it in found.annotations] == [
        ("a", "modality", CT, "1", TIME),
        ("b", "region", CHEST, "given", ""),
    ]
    assert (found.format, len(found.warnings)) == ("label-studio", 1)
    assert "this is JSON-MIN" in found.warnings[0]


def test_an_annotation_from_a_cloud_storage_has_its_task_inside(read_text: Callable[..., Export]) -> None:
    (found,) = read_text({**annotated(), "task": {"id": 3, "data": {"key": "a"}}}).annotations
    assert (found.image, found.cui) == ("a", CT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([*label_studio(), 1], "task 2: a number, expected an object"),
        (label_studio(annotations={}), "annotations: an object, expected a list"),
        (label_studio(annotated(result="CT")), "result: text, expected a list"),
        (label_studio(annotated(choice=[])), "modality: an empty path"),
        (label_studio(annotated(choice="bone")), "modality: 'bone' is no modality, expected a CUI of it or"),
        (label_studio(annotated(updated_at="soon")), "annotation 1: 'soon' is no time"),
        (label_studio(annotated(), data={}), 'neither "key" nor "image"'),
        (label_studio(annotated(), data={"key": []}), "does not tell the image"),
        (label_studio(annotated(), data={"key": "\ud800"}), "no text that a file could hold"),
    ],
)
def test_a_broken_task_is_named(content: Any, message: str, read_text: Callable[..., Export]) -> None:
    with pytest.raises(RejectedInput, match=message):
        read_text(content)


# CVAT.


def test_a_tag_may_itself_be_the_answer(read_text: Callable[..., Export]) -> None:
    body = '<image id="0" name="a.jpg"><tag label="X-ray"/><tag label="spine"/><tag label="blurred"/></image>'
    found = read_text(cvat(body))
    assert [(it.facet, it.cui) for it in found.annotations] == [("modality", XRAY), ("region", "C0037949")]
    assert found.left_out == {"other tags": 1}


def test_a_tag_that_could_answer_several_facets_is_refused(read_text: Callable[..., Export]) -> None:
    body = '<image id="0" name="a.jpg">\n<tag label="cannot tell"/></image>'
    with pytest.raises(RejectedInput, match=r"export:6: .* could answer modality and region and direction"):
        read_text(cvat(body))


def test_each_task_of_a_project_has_its_own_rater(read_text: Callable[..., Export]) -> None:
    task = "<task><id>{0}</id><assignee><username>r{0}</username><email></email></assignee></task>"
    meta = f"<project><tasks>{task.format(4)}{task.format(5)}</tasks></project>"
    body = "".join(f'<image name="{name}.jpg" task_id="{name}"><tag label="CT"/></image>' for name in (4, 5))
    assert [each.rater for each in read_text(cvat(body, meta)).annotations] == ["r4", "r5"]


def test_the_owner_of_a_task_is_not_taken_for_its_rater(read_text: Callable[..., Export]) -> None:
    meta = "<task><id>1</id><owner><username>boss</username></owner></task>"
    with pytest.raises(RejectedInput, match="export:5: it is not told who answered"):
        read_text(cvat('<image name="a.jpg"><tag label="CT"/></image>', meta))


def test_shapes_are_counted(read_text: Callable[..., Export]) -> None:
    body = '<image name="a.jpg"><box label="CT" xtl="0"/><tag label="CT"/></image>'
    assert read_text(cvat(body)).left_out == {"shapes": 1}


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
    flags: Mapping[str, Any], counts: int, read_text: Callable[..., Export]
) -> None:
    found = read_text(medcat(medcat_annotation(**flags)))
    assert (counts, 1 - counts) == (len(found.annotations), sum(found.left_out.values()))


# Prodigy.


def test_a_session_names_the_rater_where_no_annotator_does(read_text: Callable[..., Export]) -> None:
    (found,) = read_text(prodigy_line(_annotator_id=None, _session_id="set-rater-2")).annotations
    assert (found.rater, found.time) == ("set-rater-2", "2026-01-31T12:00:00.000000Z")


def test_an_option_may_go_by_a_number(read_text: Callable[..., Export]) -> None:
    options = [{"id": 1, "text": "CT"}, {"id": 2, "text": "PET"}]
    (found,) = read_text(prodigy_line(accept=[2], options=options)).annotations
    assert found.cui == "C0032743"


def test_a_facet_that_is_not_named_follows_from_the_answer(read_text: Callable[..., Export]) -> None:
    (found,) = read_text(prodigy_line(facet=None, accept=["chest"])).annotations
    assert (found.facet, found.cui) == ("region", CHEST)


def test_prodigy_tasks_without_one_answer_are_counted(read_text: Callable[..., Export]) -> None:
    lines = [
        prodigy_line(answer="reject"),
        prodigy_line(answer="ignore"),
        prodigy_line(accept=[]),
        prodigy_line(accept=[CT, XRAY]),
    ]
    found = read_text("".join(lines))
    assert (found.annotations, sum(found.left_out.values())) == ((), 4)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (prodigy_line() + "{", "export:2: no well-formed JSON"),
        (prodigy_line() + "[]", "export:2: a list, expected an object"),
        (prodigy_line(answer="maybe"), "export:1: answer is 'maybe', expected"),
        (prodigy_line(accept=["bone"]), "export:1, modality: 'bone' is no modality"),
        (prodigy_line(facet=None, accept=["unsure"]), "export:1: 'unsure' answers modality and region"),
        (prodigy_line(key=None, image="data:image/png;base64,AA=="), 'neither "key" nor "path"'),
        (prodigy_line(_timestamp=1e300), "is no time"),
    ],
)
def test_a_broken_line_is_named(line: str, message: str, read_text: Callable[..., Export]) -> None:
    with pytest.raises(RejectedInput, match=message):
        read_text(line)


# CSV.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image,facet,CUI,rater\na,colour,CT,r\n",
            "export:2: the facet is 'colour', expected one of modality",
        ),
        ("image,facet,CUI,rater\na,region,CT,r\n", "export:2: 'CT' is no region"),
        ("image,facet,CUI,rater\n,modality,CT,r\n", "export:2: it does not tell the image"),
        ("image,facet,CUI,rater\na,modality,CT,\n", "export:2: it is not told who answered"),
        ("image,facet,CUI,rater\na,modality\n", "export:2: expected 4 cells"),
        ("image,facet,CUI,rater,time\na,modality,CT,r,noon\n", "export:2: 'noon' is no time"),
        ("image,modality,rater\na,CT scan,r\n", "export:2, modality: 'CT scan' is no modality"),
    ],
)
def test_a_broken_row_is_named(text: str, message: str, read_text: Callable[..., Export]) -> None:
    with pytest.raises(RejectedInput, match=message):
        read_text(text)


def test_a_wide_row_answers_several_facets(read_text: Callable[..., Export]) -> None:
    found = read_text("image,note,region,modality\na,x,,X-ray\nb,,chest,X-ray\n", rater="rater-1")
    assert [(each.image, each.facet) for each in found.annotations] == [
        ("a", "modality"),
        ("b", "modality"),
        ("b", "region"),
    ]
    assert found.left_out == {"empty cells": 1}


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
@pytest.mark.parametrize("field", ["image", "rater", "tool"])
def test_no_answer_is_written_that_a_spreadsheet_would_run(field: str, start: str, tmp_path: Path) -> None:
    fields = {"image": "a", "facet": "modality", "cui": CT, "rater": "rater-1", field: f"{start}1+1"}
    with pytest.raises(RejectedInput, match=rf"the {field} '\{start}1\+1' begins with"):
        write_annotations(tmp_path / "answers.csv", [Annotation(**fields)])


@pytest.mark.parametrize("name", ["long-csv", "wide-csv"])
def test_a_sheet_has_no_formula(name: str, tasks: list[Task], tmp_path: Path) -> None:
    write([replace(tasks[0], text='=HYPERLINK("a")')], FACETS, tmp_path, name=name)
    with (tmp_path / "tasks.csv").open(encoding="utf-8", newline="") as file:
        assert {row["text"] for row in csv.DictReader(file)} == {'\'=HYPERLINK("a")'}
    with pytest.raises(RejectedInput, match="the image '=a' begins with"):
        write([replace(tasks[0], image="=a")], FACETS, tmp_path, name=name)


# Tasks that a tool cannot show.


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("cvat", {"text": "a caption"}, "has a text, which CVAT does not show"),
        ("cvat", {"picture": None}, "has no picture"),
        ("medcattrainer", {}, "has no text"),
    ],
)
def test_a_task_that_a_tool_cannot_show_is_refused(
    name: str, task: Mapping[str, Any], message: str, tasks: Sequence[Task], tmp_path: Path
) -> None:
    fields = {"image": "a", "picture": tasks[0].picture, "facets": tuple(FACETS), **task}
    with pytest.raises(UsageFault, match=message):
        write([Task(**fields)], FACETS, tmp_path / "out", name=name)


def test_keys_that_differ_in_case_alone_are_refused(tasks: Sequence[Task], tmp_path: Path) -> None:
    twins = [Task(image=key, picture=tasks[0].picture, facets=("modality",)) for key in ("a", "A")]
    with pytest.raises(RejectedInput, match="differ in nothing but case"):
        write(twins, FACETS, tmp_path / "out", name="cvat")


def test_a_link_is_the_picture_itself(tasks: Sequence[Task], tmp_path: Path) -> None:
    write(tasks[:1], FACETS, tmp_path / "out", name="prodigy", link=True)
    (linked,) = (tmp_path / "out" / "images").iterdir()
    assert tasks[0].picture is not None
    assert tasks[0].picture.samefile(linked)
