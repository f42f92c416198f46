"""Write an audit: a folder for each rater, and one that no rater may see.

out/
  raters/rater-1/concepts/    tasks and pictures of concepts, in an order of this rater's own
  raters/rater-1/missed/      tasks and pictures for missed concepts
  raters/rater-2/…
  secret/key.csv              which item is which
  secret/design.json          how the sample was drawn

`raters` holds nothing else: a tool may serve all of it.

Pictures are named after items, and every item has a copy of its own: the name of an image would tell raters
where to look its concepts up, and two items with one picture that the other is about the same image.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath

from dataset_builder.audit.key import write_secrets
from dataset_builder.audit.population import AuditedImage, Concept
from dataset_builder.audit.questions import PARTS, assign, facets_of, refuse_nameless, text_of
from dataset_builder.audit.sampling import Item, Sample, SampleOptions
from dataset_builder.study import formats, label_studio
from dataset_builder.study.annotations import Task
from dataset_builder.study.pictures_out import FOLDER as PICTURES
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.words import shorten

KEY_FOLDER, RATERS_FOLDER = "secret", "raters"
_LOCAL_FILES = "/data/local-files/?d="  # where Label Studio serves what lies below its document root
_STAGED = ".pictures"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The picture of an image.

    Attributes:
        suffix: Of its file, such as `.jpg`.
        read: Returns its bytes.
    """

    suffix: str
    read: Callable[[], bytes]


@dataclass(frozen=True, kw_only=True)
class Material:
    """What items are made of.

    Attributes:
        images: By id.
        concepts: By CUI, with names.
        pictures: By image id.
        files: Picture of each item, once it is written under the item's name.
    """

    images: Mapping[str, AuditedImage]
    concepts: Mapping[str, Concept]
    pictures: Mapping[str, Picture]
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class HandingOut:
    """How a sample reaches the raters.

    Attributes:
        raters: How many.
        overlap: Share of the items that every rater sees.
        format: Exchange format, a name of `curation.formats.FORMATS`.
        with_caption: Raters see the caption, and are less blind for it.
        address: Where a tool finds what lies in `raters`; the path of a picture below it is added. Empty for
            the folders that Label Studio serves, its document root being `raters`, and else for the path from
            the tasks.
    """

    raters: int = 1
    overlap: float = 0.2
    format: str = "label-studio"
    with_caption: bool = False
    address: str = ""

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.raters < 1:
            raise UsageFault(f"raters is {self.raters}, expected 1 or more")
        if not 0 <= self.overlap <= 1:
            raise UsageFault(f"overlap is {self.overlap:g}, expected a share from 0 to 1")


def write_audit(
    out: Path,
    sample: Sample,
    material: Material,
    options: SampleOptions,
    handing_out: HandingOut,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write an audit, all of it or nothing.

    Args:
        out: Must not be there yet.
        sample: What was drawn.
        material: What its items are made of.
        options: How the sample was drawn.
        handing_out: To whom and how.
        progress: Told how many of how many pictures were read.

    Raises:
        UsageFault: The folder is there, a concept has no name, or an image no picture.
    """
    refuse_nameless(sample, material.images, material.concepts)
    _refuse_bare(sample, material.pictures)
    if out.exists():
        raise UsageFault(f"{out} is there already; name another folder, for no audit is written over")
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))  # for its owner alone
    try:
        staged = _stage(building / _STAGED, sample, material.pictures, progress)
        _write_tasks(
            building / RATERS_FOLDER, sample, replace(material, files=staged), options.seed, handing_out
        )
        shutil.rmtree(building / _STAGED)
        write_secrets(building / KEY_FOLDER, sample, options, handing_out=asdict(handing_out))
        building.chmod(0o755)
        building.rename(out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _refuse_bare(sample: Sample, pictures: Mapping[str, Picture]) -> None:
    drawn = {item.image for item in sample.items if item.image}
    bare = sorted(drawn - pictures.keys())
    if bare:
        raise UsageFault(
            f"{len(bare):,} of {len(drawn):,} drawn images have no picture, such as {shorten(bare[0])}: "
            "unpack the images, or name their folder with --images-from"
        )


def _stage(
    folder: Path,
    sample: Sample,
    pictures: Mapping[str, Picture],
    progress: Callable[[int, int], None] | None,
) -> dict[str, Path]:
    """Write the picture of each item under its id, and return the files by item."""
    folder.mkdir()
    shown = [item for item in sample.items if item.item]
    staged = {}
    for done, item in enumerate(shown, 1):
        picture = pictures[item.image]
        staged[item.item] = folder / f"{item.item}{picture.suffix}"
        staged[item.item].write_bytes(picture.read())
        if progress:
            progress(done, len(shown))
    return staged


def _write_tasks(
    folder: Path, sample: Sample, material: Material, seed: int, handing_out: HandingOut
) -> None:
    for number, (part, kinds) in enumerate(PARTS.items()):
        items = [item for item in sample.items if item.kind in kinds]
        # Another stream than that of the draw, which the same seed would repeat.
        shares = assign(items, handing_out.raters, handing_out.overlap, [seed, number])
        for rater, share in enumerate(shares, 1):
            if share:
                place = PurePosixPath(f"rater-{rater}", part)
                formats.write(
                    [_task(item, material, with_caption=handing_out.with_caption) for item in share],
                    facets_of(items),
                    folder / place,
                    name=handing_out.format,
                    address=_address(handing_out, place),
                )


def _address(handing_out: HandingOut, place: PurePosixPath) -> str:
    """Return what stands before the names of the pictures of a folder; empty for the path from its tasks."""
    root = handing_out.address or (_LOCAL_FILES if handing_out.format == label_studio.NAME else "")
    return f"{root}{place}/{PICTURES}/" if root else ""


def _task(item: Item, material: Material, *, with_caption: bool) -> Task:
    image = material.images[item.image]
    return Task(
        image=item.item,
        picture=material.files[item.item],
        facets=tuple(facets_of([item])),
        text=text_of(item, image, material.concepts, with_caption=with_caption),
    )
