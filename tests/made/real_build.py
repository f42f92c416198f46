"""Material for whole builds: real articles in PMC's layout, and hand-made ones around real radiology images.

The articles of ../shared/data/jats come from their publishers and carry no PMCID: those given here are made
up, from 9000001 on. Where a publisher's graphic files are at hand (Journal of Open Source Education) they are
the media of the article; the others have none. The radiology articles, from 9500001 on, are hand-made: their
images, credits and labels are those of ../shared/data/images, their text is ours.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from s3_server import Bucket

NAMES = {
    "C0040405": "X-Ray Computed Tomography",
    "C1306645": "Plain x-ray",
    "C0024485": "Magnetic Resonance Imaging",
    "C0817096": "Chest",
    "C0023216": "Lower Extremity",
    "C0037303": "Bone structure of cranium",
    "C0000726": "Abdomen",
    "C1140618": "Upper Extremity",
    "C0006141": "Breast",
    "C1999039": "Anterior-Posterior",
    "C1996865": "Postero-Anterior",
    "C0205129": "Sagittal",
    "C0024109": "Lung",
}
_FACETS = ("modality", "region", "direction")
_VIEWS = {"C1999039": "anteroposterior", "C1996865": "posteroanterior", "C0205129": "sagittal"}
_WORDS = (
    "showing both lungs and the outline of the heart",
    "taken on the day of admission",
    "with the diaphragm on both sides in view",
    "before any treatment was given",
    "at follow-up, for comparison with the earlier examination",
    "with the trachea in the midline",
)


@dataclass(frozen=True, kw_only=True)
class MadeArticle:
    """An article as the service would hold it."""

    pmcid: str
    xml: bytes
    media: Mapping[str, bytes] = field(default_factory=dict)
    licence: str | None = "CC BY"


def real_articles(shared: Path) -> Iterator[MadeArticle]:
    """Yield the 107 articles of the publishers."""
    folder = shared / "data/jats"
    with (folder / "articles.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=1):
        path = folder / row["file"]
        media = {
            picture.name: picture.read_bytes()
            for picture in sorted((path.parent / "media").rglob("*"))
            if picture.is_file()
        }
        yield MadeArticle(pmcid=f"PMC{9000000 + number}", xml=path.read_bytes(), media=media, licence=None)


def radiology_articles(shared: Path, most: int = 60) -> tuple[list[MadeArticle], list[dict[str, str]]]:
    """Return hand-made articles, one a patient, and the rows of their table of concepts."""
    folder = shared / "data/images"
    groups = defaultdict(list)
    with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["radiology"] == "1" and row["licence"].startswith("CC BY") and "SA" not in row["licence"]:
                groups[row["source"], row["group"]].append(row)
    articles = []
    rows = []
    for number, (_, images) in enumerate(sorted(groups.items())[:most], start=1):
        pmcid = f"PMC{9500000 + number}"
        articles.append(_radiology_article(pmcid, images, folder / "files"))
        for image in images:
            manual = [image[facet] for facet in _FACETS if image[facet]]
            rows.append(
                {
                    "PMCID": pmcid,
                    "file": image["file"],
                    "concepts": "C0024109",
                    "concepts_manual": ";".join(manual),
                }
            )
    return articles, rows


def _radiology_article(pmcid: str, images: list[dict[str, str]], folder: Path) -> MadeArticle:
    figures = []
    for index, image in enumerate(images, start=1):
        view = _VIEWS.get(image["direction"], "single")
        words = _WORDS[(index + int(pmcid[3:])) % len(_WORDS)]
        caption = f"Chest radiograph of patient {pmcid[-3:]}, {view} view number {index}, {words}."
        figures.append(
            f'<fig id="f{index}"><label>Figure {index}</label><caption><p>{escape(caption)}</p></caption>'
            f'<graphic xlink:href="{escape(image["file"])}"/></fig>'
        )
    credit = escape(images[0]["credit"])
    text = (
        '<article article-type="case-report" xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta>'
        f"<title-group><article-title>Hand-made report on patient {pmcid[-3:]}</article-title></title-group>"
        f'<contrib-group><contrib contrib-type="author"><collab>{credit}</collab></contrib></contrib-group>'
        "<pub-date><year>2024</year></pub-date></article-meta></front>"
        f"<body><sec><p>Images of one patient.</p>{''.join(figures)}</sec></body></article>"
    )
    media = {image["file"]: (folder / image["file"]).read_bytes() for image in images}
    return MadeArticle(pmcid=pmcid, xml=text.encode(), media=media)


def fill_bucket(bucket: Bucket, articles: list[MadeArticle]) -> None:
    """Put articles into the local service."""
    for article in articles:
        bucket.add_article(
            article.pmcid, 1, dict(article.media), xml=article.xml, license_code=article.licence
        )


def write_inputs(folder: Path, rows: list[dict[str, str]]) -> None:
    """Write the tables and the model that a build names."""
    with (folder / "concepts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["PMCID", "file", "concepts", "concepts_manual"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "cui_names.csv").open("w", encoding="utf-8", newline="") as file:
        writer2 = csv.writer(file, lineterminator="\n")
        writer2.writerow(["CUI", "Canonical name"])
        writer2.writerows(NAMES.items())
    write_greyness_model(folder / "radiology.onnx")


def write_greyness_model(path: Path) -> None:
    """Write a small model that takes grey pictures for radiology: the less colour, the higher the score."""
    # Differences between the channels of every pixel, squared and averaged; a sigmoid around a small one.
    kernel = np.zeros((2, 3, 1, 1), np.float32)
    kernel[0, :, 0, 0] = [1, -1, 0]
    kernel[1, :, 0, 0] = [0, 1, -1]
    nodes = [
        helper.make_node("Conv", ["pictures", "kernel"], ["differences"]),
        helper.make_node("Mul", ["differences", "differences"], ["squares"]),
        helper.make_node("ReduceMean", ["squares", "axes"], ["colour"], keepdims=1),
        helper.make_node("Flatten", ["colour"], ["column"]),
        helper.make_node("Mul", ["column", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "greyness",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", 3, 64, 64])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 1])],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array([[-4000.0]], np.float32), "scale"),
            numpy_helper.from_array(np.array([[4.0]], np.float32), "offset"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    facts = {
        "task": "radiology",
        "mean": "0,0,0",
        "std": "1,1,1",
        "classes": "radiology",
        "positive": "radiology",
        "threshold": "0.5",
        "resize": "squash",
        "activation": "sigmoid",
    }
    helper.set_model_props(model, {f"rocov2.{key}": value for key, value in facts.items()})
    save(model, path)
