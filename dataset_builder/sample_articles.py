"""Ten made-up articles in JATS, around the drawn pictures of the bundled sample of the scorer.

Nobody's work and nobody's patient: pictures, texts and authors are of our own making. Every stage of a build
finds something to leave out in them, and what is left makes a small dataset.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from rocov2_eval.errors import MissingResource
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.files import write_bytes, write_text
from rocov2_eval.truth import sample_folder

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

BY = "https://creativecommons.org/licenses/by/4.0/"
BY_NC = "https://creativecommons.org/licenses/by-nc/4.0/"
BY_ND = "https://creativecommons.org/licenses/by-nd/4.0/"


@dataclass(frozen=True, kw_only=True)
class SampleFigure:
    """A figure of an article.

    Attributes:
        image_id: The picture of the bundled sample that it shows; its caption stands there too.
        caption: The caption, where it is not that of the sample.
        draw: Makes the picture out of that of the sample; None leaves it as it is.
    """

    image_id: str
    caption: str = ""
    draw: Callable[[Picture], Picture] | None = None


@dataclass(frozen=True, kw_only=True)
class SampleArticle:
    """An article.

    Attributes:
        title: Title of the article.
        author: Surname and given names of its author.
        figures: Its figures, in order.
        licence: Address of its licence.
        kind: Type of the article, as JATS names it.
    """

    title: str
    author: tuple[str, str]
    figures: Sequence[SampleFigure]
    licence: str = BY
    kind: str = "case-report"


def write_sample(folder: Path) -> int:
    """Write the articles, `<name>.xml` with its pictures in `<name>/`, and return how many they are.

    Raises:
        MissingResource: Pillow is not installed.
    """
    captions = _captions()
    for number, article in enumerate(ARTICLES, start=1):
        name = f"article-{number:02d}"
        for place, figure in enumerate(article.figures, start=1):
            write_bytes(folder / name / f"figure-{place}.jpg", _picture(figure))
        write_text(folder / f"{name}.xml", _xml(article, captions))
    return len(ARTICLES)


def _captions() -> dict[str, str]:
    captions: dict[str, str] = {}
    for path in sorted(sample_folder().glob("*_captions.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            captions |= {row["ID"]: row["Caption"] for row in csv.DictReader(file)}
    return captions


def _picture(figure: SampleFigure) -> bytes:
    path = _path(figure.image_id)
    if figure.draw is None:
        return path.read_bytes()
    try:
        from PIL import Image
    except ImportError:
        message = f"pictures cannot be drawn without Pillow: {install_command('builder')}"
        raise MissingResource(message) from None
    file = io.BytesIO()
    with Image.open(path) as picture:
        figure.draw(picture.convert("RGB")).save(file, "JPEG", quality=85)
    return file.getvalue()


def _path(image_id: str) -> Path:
    return sample_folder() / image_id.split("_")[1] / f"{image_id}.jpg"


def _xml(article: SampleArticle, captions: dict[str, str]) -> str:
    figures = "".join(
        f'<fig id="f{place}"><label>Figure {place}</label>'
        f"<caption><p>{escape(figure.caption or captions[figure.image_id])}</p></caption>"
        f'<graphic xlink:href="figure-{place}.jpg"/></fig>\n'
        for place, figure in enumerate(article.figures, start=1)
    )
    surname, given = map(escape, article.author)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<article article-type="{article.kind}" xml:lang="en" xmlns:xlink="http://www.w3.org/1999/xlink">
<front><journal-meta><journal-title-group><journal-title>Journal of Made-up Cases</journal-title>
</journal-title-group></journal-meta>
<article-meta><title-group><article-title>{escape(article.title)}</article-title></title-group>
<contrib-group><contrib contrib-type="author"><name><surname>{surname}</surname>
<given-names>{given}</given-names></name></contrib></contrib-group>
<pub-date><year>2026</year></pub-date>
<permissions><license xlink:href="{article.licence}"><license-p>This made-up article may be used under
<ext-link ext-link-type="uri" xlink:href="{article.licence}">{article.licence}</ext-link>.</license-p>
</license></permissions></article-meta></front>
<body><sec><title>Case</title><p>The figures show what was found.</p>
{figures}</sec></body></article>
"""


def _smaller(picture: Picture) -> Picture:
    return picture.resize((picture.width * 3 // 4, picture.height * 3 // 4))


def _stamp(picture: Picture) -> Picture:
    return picture.resize((40, 40))


def _beside(image_id: str) -> Callable[[Picture], Picture]:
    """Return what puts another picture of the sample beside one, with a white gutter."""

    def draw(picture: Picture) -> Picture:
        from PIL import Image

        with Image.open(_path(image_id)) as other:
            second = other.convert("RGB").resize(picture.size)
        canvas = Image.new("RGB", (2 * picture.width + 12, picture.height), "white")
        canvas.paste(picture, (0, 0))
        canvas.paste(second, (picture.width + 12, 0))
        return canvas

    return draw


def _plot(picture: Picture) -> Picture:
    """Return a chart of three bars with error bars; of the picture nothing is seen."""
    from PIL import Image, ImageDraw

    del picture
    canvas = Image.new("RGB", (480, 360), "white")
    pen = ImageDraw.Draw(canvas)
    pen.line((60, 20, 60, 310, 460, 310), fill="black", width=2)
    for left, top, colour in ((100, 180, "steelblue"), (220, 90, "darkorange"), (340, 240, "seagreen")):
        pen.rectangle((left, top, left + 80, 309), fill=colour)
        pen.line((left + 40, top - 25, left + 40, top + 25), fill="black", width=2)
        pen.text((left + 10, 318), f"group {left // 100}", fill="black")
    for level in range(5):
        pen.text((25, 302 - 65 * level), f"{level * 10}", fill="black")
    return canvas


ARTICLES = (
    SampleArticle(
        title="Pneumonia of the right lower lobe",
        author=("Adler", "Anna"),
        figures=(
            SampleFigure(image_id="sample_train_000002"),
            SampleFigure(
                image_id="sample_train_000001",
                caption="Postero-anterior chest X-ray six weeks later: clear lungs, heart of normal size.",
            ),
        ),
    ),
    SampleArticle(
        title="An incidental aneurysm",
        author=("Bauer", "Ben"),
        figures=(
            SampleFigure(image_id="sample_train_000005"),
            SampleFigure(
                image_id="sample_train_000005",
                caption="Diameter of the aneurysm in millimetres at three visits, mean and range.",
                draw=_plot,
            ),
        ),
    ),
    SampleArticle(
        title="Headache in a teacher",
        author=("Costa", "Carla"),
        licence=BY_NC,
        figures=(
            SampleFigure(
                image_id="sample_train_000010",
                caption="T1-weighted MRI after gadolinium: a mass over the left frontal lobe.",
            ),
            SampleFigure(
                image_id="sample_valid_000007",
                caption="Axial T2-weighted MRI of the brain. Reproduced with permission from Doe, 2019.",
            ),
        ),
    ),
    SampleArticle(
        title="Flank pain",
        author=("Duarte", "Davi"),
        figures=(
            SampleFigure(image_id="sample_valid_000005"),
            SampleFigure(
                image_id="sample_train_000012",
                caption="Ultrasound of the gallbladder with a single stone, 1.5 cm, and its acoustic shadow.",
            ),
            SampleFigure(
                image_id="sample_train_000009",
                caption="(A) CT of the brain on admission. (B) CT of the chest at the level of the heart.",
                draw=_beside("sample_train_000004"),
            ),
        ),
    ),
    SampleArticle(
        title="A fall from a ladder",
        author=("Eriksen", "Eva"),
        figures=(
            SampleFigure(
                image_id="sample_valid_000017", caption="Radiograph of the left shoulder after reduction."
            ),
            SampleFigure(
                image_id="sample_train_000016",
                caption="X-ray of the arm: displaced fracture of the radius; the ulna is spared.",
            ),
        ),
    ),
    SampleArticle(
        title="Stroke in a young man",
        author=("Fischer", "Finn"),
        figures=(
            SampleFigure(
                image_id="sample_valid_000006",
                caption="CT of the brain: hypodense area in the right hemisphere, about two days old.",
            ),
            SampleFigure(
                image_id="sample_test_000009",
                caption="Angiogram: stenosis of the internal carotid artery (NASCET 70-79 %).",
            ),
        ),
    ),
    SampleArticle(
        title="A second look at pneumonia",
        author=("Garcia", "Gil"),
        figures=(
            SampleFigure(
                image_id="sample_train_000002",
                caption="Chest radiograph of the same kind as in an earlier report, smaller.",
                draw=_smaller,
            ),
            SampleFigure(
                image_id="sample_train_000004",
                caption="Axiales CT des Thorax auf Höhe des Herzens mit einer kleinen Menge Flüssigkeit.",
            ),
        ),
    ),
    SampleArticle(
        title="Pain in both knees",
        author=("Haas", "Hanna"),
        figures=(
            SampleFigure(
                image_id="sample_train_000018",
                caption="Anteroposterior radiograph of the legs: knee joint, standing.",
            ),
            SampleFigure(
                image_id="sample_test_000001", caption="Radiograph, too small to be read.", draw=_stamp
            ),
        ),
    ),
    SampleArticle(
        title="Under another licence",
        author=("Ito", "Ichiro"),
        licence=BY_ND,
        figures=(SampleFigure(image_id="sample_test_000006", caption="FLAIR MRI, day 3: bright area."),),
    ),
    SampleArticle(
        title="Retraction: a case that was none",
        author=("Jansen", "Jan"),
        kind="retraction",
        figures=(SampleFigure(image_id="sample_valid_000014"),),
    ),
)
