"""A small build in which every stage has something to do, and digests of what each stage makes of it."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from pathlib import Path
from typing import Any

from dataset_builder.cli import run
from dataset_builder.stages import STAGES

RECORDED = Path(__file__).parent.parent / "golden/stage_outputs.json"
_DIGITS = 3  # of a score: the last ones differ from machine to machine
_PICTURE = "a.png"
_BUILD = """
[build]
shards = 1
[source]
kind = "folder"
path = "pmc"
[images]
min_side = 32
[compound]
method = "priors"
[radiology]
model = "radiology.onnx"
[concepts]
table = "concepts.csv"
names = "cui_names.csv"
min_images = 2
[split]
shares = { train = "rest", valid = 2, test = 2 }
[package]
parquet = false
"""
_CAPTION = "Axial image of the chest of an adult patient, number {}."


def stage_outputs(folder: Path) -> dict[str, dict[str, Any]]:
    """Build in a folder and return, by stage, its revision and the digests of what went in and came out."""
    _write_material(folder)
    assert run(["run", str(folder / "build.toml"), "--workers", "1", "--quiet"]) == 0
    outputs: dict[str, dict[str, Any]] = {}
    before = _digest(sorted((folder / "work/stages/plan").glob("*.jsonl")))
    for stage in STAGES:
        files = sorted((folder / "work/stages" / stage.name).glob("*.jsonl"))
        tables = sorted((folder / "dataset").glob("*.csv")) if stage.name == "package" else []
        output = _digest([*files, *tables])
        outputs[stage.name] = {"revision": stage.revision, "input": before, "output": output}
        before = output
    return outputs


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            text = json.dumps(_rounded(json.loads(line))) if path.suffix == ".jsonl" else line
            digest.update(f"{path.name} {text}\n".encode())
    return digest.hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _write_material(folder: Path) -> None:
    """Write articles of which every stage drops one or changes one, and the files that the build names."""
    from real_build import write_inputs
    from s3_server import Bucket

    bucket = Bucket()
    good = [(f"PMC{number}", _CAPTION.format(number), _png(number)) for number in range(1, 9)]
    others = [
        (
            "PMC21",
            "Ein Bild der Lunge eines Patienten, aufgenommen am Tag der Aufnahme in die Klinik.",
            _png(21),
        ),
        ("PMC22", _CAPTION.format(22), _png(22, side=16)),
        (
            "PMC23",
            "(A) Axial image of the chest before and (B) after the treatment of the patient.",
            _png(23),
        ),
        ("PMC24", _CAPTION.format(24), _png(24, is_coloured=True)),
        ("PMC25", _CAPTION.format(25), _png(1)),  # shows what PMC1 shows
        ("PMC26", _CAPTION.format(26), _png(26)),  # has a concept of its own alone
        ("PMC27", _CAPTION.format(27), _png(27)),  # has no concept
    ]
    for pmcid, caption, picture in (*good, *others):
        bucket.add_article(pmcid, 1, {_PICTURE: picture}, xml=_article(caption))
    bucket.add_article("PMC31", 1, {_PICTURE: _png(31)}, xml=_article("A retracted one."), is_retracted=True)
    bucket.add_article("PMC32", 1, {}, xml=_article("Its picture is not there."))
    bucket.add_article(
        "PMC33", 1, {_PICTURE: _png(33)}, xml=_article("No derivatives."), license_code="CC BY-ND"
    )
    bucket.write(folder / "pmc")
    rows = [_row(pmcid, "C0024109", "C0040405") for pmcid, *_ in (*good, *others[:5])]
    write_inputs(folder, [*rows, _row("PMC26", "C0000726", "")])
    (folder / "work").mkdir()
    (folder / "work/salt").write_bytes(b"a salt of the tests, of 32 bytes")
    (folder / "build.toml").write_text(_BUILD, encoding="utf-8")


def _row(pmcid: str, concepts: str, manual: str) -> dict[str, str]:
    return {"PMCID": pmcid, "file": _PICTURE, "concepts": concepts, "concepts_manual": manual}


def _article(caption: str) -> bytes:
    return (
        '<article article-type="case-report" xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta/>'
        f'</front><body><fig id="f"><label>Figure 1</label><caption><p>{caption}</p></caption>'
        f'<graphic xlink:href="{_PICTURE}"/></fig></body></article>'
    ).encode()


def _png(seed: int, *, side: int = 64, is_coloured: bool = False) -> bytes:
    """Return a picture whose bytes are the same whatever compresses them: it is stored as it is."""
    pixels = [(x * (seed + 3) + y * (2 * seed + 1)) % 251 for y in range(side) for x in range(side)]
    channels = [(value, 255 - value, value // 2) if is_coloured else (value,) * 3 for value in pixels]
    rows = [channels[start : start + side] for start in range(0, side * side, side)]
    data = b"".join(b"\0" + bytes(value for pixel in row for value in pixel) for row in rows)
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(data, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
