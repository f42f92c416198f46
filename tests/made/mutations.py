"""Files that are nearly right: seeded changes of bytes, rows, cells, documents and archives."""

from __future__ import annotations

import csv
import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

Row = list[str]
# What readers stumble over, as bytes.
MAGIC = (
    *(b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf0\x9f\xa9\xbb", b"\r", b"\n", b"\r\n"),
    *(b'"', b'""', b",", b";", b"|", b"\t", b" ", b"\\", b"\x1b[31m", b"\x85", b"\xe2\x80\xa8"),
    *(b"\xe2\x80\xae", b"\xcc\x81\xcc\x81", b"PK\x03\x04", b"PK\x05\x06", b"PK\x01\x02", b"1e999"),
    *(b"NaN", b"-1", b"{", b"}", b"[", b"]", b"[[[", b"9" * 5000, b"[" * 3000, b"\\ud800", b"ID", b"C1"),
)
# And as the text of one cell.
CELLS = (
    *("", " ", "\0", ";", ";;", ",", '"', "\n", "\r", "x\ny", "\u2028", "\u202e", "\ufeff", "\U0001fa7b"),
    *("C0000001", "c0000001", "C0000001;C0000001", "C0000001; C0000002", "C0000001;", "C0000001;c0000001"),
    *(
        "C",
        "C1\n",
        "=1+1",
        "+cmd|' /C calc'!A0",
        "<script>x</script>",
        "../../etc/passwd",
        "NaN",
        "e\u0301" * 9,
    ),
    *(
        "x" * 140_000,
        "C1;" * 60 + "C2",
        ";".join(f"C{i}" for i in range(100)),
        "ID",
        "id",
        "p0",
        "p00",
        " p0",
    ),
    *(";".join(f"C{i}" for i in range(101)), "none", "cannot tell", "CT", "2026-01-31T12:00:00Z"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**63, 10**400, 0.5, float("nan"), float("inf"), "", " ", "abc\n", "\0"),
    *([], {}, [[]], [None], {"": ""}, "\ud800", "\u202e", "x" * 5000, "http://x", "a@b", "a@b\n", "ALICE"),
    *("../x", "C0040405", "2026-01-31T12:00:00Z", "modality", "concepts", "rocov2", [1] * 101),
)


def changed_bytes(source: Random, content: bytes) -> bytes:
    """Return bytes after one to four cuts, copies, insertions or other bytes."""
    for _ in range(source.choice((1, 1, 2, 4))):
        start = source.randint(0, len(content))
        stop = min(len(content), start + source.choice((1, 1, 2, 8, 64)))
        middle = content[start:stop]
        new = source.choice(
            (
                b"",
                middle * 2,
                middle[::-1],
                source.choice(MAGIC),
                source.randbytes(1),
                source.choice(MAGIC) + middle,
            )
        )
        content = content[:start] + new + content[stop:]
    return content


def changed_rows(source: Random, rows: Sequence[Row]) -> list[Row]:  # noqa: C901  a case a kind of damage
    """Return rows after one to three of them, or cells of them, were changed, moved, copied or left out."""
    result = [list(row) for row in rows]
    for _ in range(source.choice((1, 1, 2, 3))):
        if not result:
            return [[source.choice(CELLS)]]
        i, j = source.randrange(len(result)), source.randrange(len(result))
        row = result[i]
        match source.randrange(12):
            case 0:
                del result[i]
            case 1:
                result.insert(j, list(row))
            case 2:
                result[i], result[j] = result[j], row
            case 3:
                row.append(source.choice(CELLS))
            case 4 if row:
                row.pop(source.randrange(len(row)))
            case 5:
                result.insert(i, source.choice(([], [""], ["ID", "CUIs"], ["id"])))
            case 6:  # no fault: another order
                result[1:] = source.sample(result[1:], len(result[1:]))
            case 7 | 8 if len(row) > 1:  # no fault: another answer
                row[1] += source.choice((";C0000001", ";C0000002", ";C7", " more words"))
            case _ if row:
                k = source.randrange(len(row))
                row[k] = source.choice(
                    (source.choice(CELLS), row[k] + source.choice(CELLS[:14]), row[k].lower())
                )
    return result


def table(source: Random, rows: Sequence[Row], delimiter: str = ",") -> bytes:
    """Return a CSV file of rows that are changed, or whose bytes are, or neither of them."""
    kind = source.random()
    changed = changed_rows(source, rows) if kind < 0.55 else [list(row) for row in rows]
    buffer = io.StringIO()
    end = source.choice(("\n", "\n", "\n", "\r\n", "\r"))
    quoting = source.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(changed)
    content = buffer.getvalue().encode("utf-8", "surrogatepass")
    return changed_bytes(source, content) if 0.45 < kind < 0.9 else content


def changed_document(source: Random, document: Any) -> Any:
    """Return a document of JSON with one to three of its values changed, moved, renamed or left out."""
    document = json.loads(json.dumps(document))
    for _ in range(source.choice((1, 1, 2, 3))):
        places = list(_places(document))
        if not places:
            return deepcopy(source.choice(VALUES))
        node, key = source.choice(places)
        match source.randrange(6):
            case 0:
                del node[key]
            case 1:
                node[key] = [node[key]]
            case 2 if isinstance(node, dict):
                node[source.choice(("", "x", "team", "id", f"{key} ", f"{key}\n"))] = deepcopy(node[key])
            case 3:
                node[key] = _nested(source.choice((2, 31, 33, 200)))
            case 4 if isinstance(node[key], str):
                node[key] += source.choice(("\n", "\0", " ", "\u202e", "x" * 300, "\ud800"))
            case _:
                node[key] = deepcopy(source.choice(VALUES))
    return document


def json_file(source: Random, document: Any) -> bytes:
    """Return JSON of a document that is changed, or whose bytes are, or neither of them."""
    kind = source.random()
    changed = changed_document(source, document) if kind < 0.6 else document
    content = json.dumps(changed, ensure_ascii=source.random() < 0.5).encode("utf-8", "surrogatepass")
    return changed_bytes(source, content) if 0.5 < kind < 0.9 else content


def toml_file(source: Random, text: str) -> bytes:
    """Return a TOML text with lines left out, copied, or with another value."""
    lines = text.splitlines()
    for _ in range(source.choice((0, 1, 1, 2, 3))):
        i = source.randrange(len(lines))
        key, mark, _ = lines[i].partition("=")
        value = source.choice(
            (
                "1",
                "-1",
                "nan",
                "inf",
                "1e999",
                '""',
                "[]",
                "{}",
                '"x"',
                "true",
                "9" * 5000,
                "[" * 3000,
                '"a\\u0000"',
            )
        )
        lines[i : i + 1] = source.choice(
            (
                [],
                [lines[i]] * 2,
                [f"{key}{mark} {value}"],
                [f"{key.strip('# ')} = {value}"],
                ["[x]"],
                ["[[build]]"],
            )
        )
        lines = lines or [""]
    content = "\n".join(lines).encode()
    return changed_bytes(source, content) if source.random() < 0.3 else content


# Archives: what a dishonest packer does.


def archive(
    *members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, mode: int = stat.S_IFREG | 0o644
) -> bytes:
    """Return a zip archive; a name may be there twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened:
        for name, content in members:
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr, member.compress_type = 3, mode << 16, method
            if name in opened.NameToInfo:
                del opened.NameToInfo[name]  # it would warn
            opened.writestr(member, content)
    return buffer.getvalue()


def patched(content: bytes, local: int, central: int, value: bytes) -> bytes:
    """Write a value at an offset in each local header and in each central one."""
    changed = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        start = content.find(mark)
        while start >= 0:
            changed[start + offset : start + offset + len(value)] = value
            start = content.find(mark, start + 1)
    return bytes(changed)


def overlapping(content: bytes) -> bytes:
    """Return an archive with two entries that share the bytes of one file, as David Fifield's bombs do."""
    one = archive(("run.csv", content))
    start = one.index(b"PK\x01\x02")
    central = one[start : one.index(b"PK\x05\x06")]
    both = central + central.replace(b"run.csv", b"ruN.csv")
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(both), start, 0)
    return one[:start] + both + end


def zip64(content: bytes, size: int) -> bytes:
    """Return an archive whose one file states a size of 64 bits in the extra field of its entry."""
    one = archive(("run.csv", content))
    start, stop = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    central = bytearray(one[start:stop])
    extra = struct.pack("<HHQ", 1, 8, size)
    central[24:28] = b"\xff\xff\xff\xff"
    central[30:32] = struct.pack("<H", len(extra))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(central) + len(extra), start, 0)
    return one[:start] + bytes(central) + extra + end


# By name, an archive of a CSV file that no reader may take for an honest submission.
TRICKS: dict[str, Callable[[bytes], bytes]] = {
    "overlapping entries": overlapping,
    "a size of 64 bits that lies": lambda content: zip64(content, 1 << 40),
    "a size of 64 bits that is too small": lambda content: zip64(content, 1),
    "encrypted": lambda content: patched(archive(("run.csv", content)), 6, 8, b"\x01\0"),
    "strongly encrypted": lambda content: patched(archive(("run.csv", content)), 6, 8, b"\x41\0"),
    "patched data": lambda content: patched(archive(("run.csv", content)), 6, 8, b"\x20\0"),
    "an archive in an archive": lambda content: archive(("run.zip", archive(("run.csv", content)))),
    "an archive by the name of a CSV": lambda content: archive(("run.csv", archive(("run.csv", content)))),
    "one name twice": lambda content: archive(("run.csv", content), ("run.csv", content)),
    "an absolute name": lambda content: archive(("/etc/run.csv", content)),
    "a name that climbs": lambda content: archive(("a/../../run.csv", content)),
    "a symbolic link": lambda content: archive(("run.csv", content), mode=stat.S_IFLNK | 0o777),
    "a device": lambda content: archive(("run.csv", content), mode=stat.S_IFCHR | 0o666),
    "bzip2": lambda content: archive(("run.csv", content), method=zipfile.ZIP_BZIP2),
    "an unknown compression": lambda content: patched(archive(("run.csv", content)), 8, 10, b"\x63\0"),
    "a wrong checksum": lambda content: patched(archive(("run.csv", content)), 14, 16, b"\1\2\3\4"),
    "thousands of files": lambda content: archive(
        ("run.csv", content), *((f"{i}.txt", b"") for i in range(1200))
    ),
    "a control character in the name": lambda content: archive(("r\x1b[31mun.csv\x07.exe", content)),
    "another name inside": lambda content: archive(("run.csv", content)).replace(b"run.csv", b"ruN.csv", 1),
    "no end": lambda content: archive(("run.csv", content))[:-22],
}


def zip_file(source: Random, content: bytes) -> bytes:
    """Return an archive of a CSV file: honest, by a trick, with another end, or with other bytes."""
    kind = source.random()
    if kind < 0.3:
        return TRICKS[source.choice(sorted(TRICKS))](content)
    method = source.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    name = source.choice(
        ("run.csv", "run.csv", "a/run.TSV", "run.txt", "..run.csv", "run.csv/", "run.exe", "\0.csv")
    )
    honest = archive((name, content), method=method)
    if kind < 0.5:
        return source.choice((b"", b"#!/bin/sh\n")) + honest + source.choice((b"", b"\0" * 40, honest))
    return changed_bytes(source, honest)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Return every place in a document: what holds it, and its key there."""
    if isinstance(node, dict):
        here = [(node, key) for key in node]
    elif isinstance(node, list):
        here = [(node, index) for index in range(len(node))]
    else:
        return []
    return here + [place for holder, key in here for place in _places(holder[key])]


def _nested(levels: int) -> Any:
    document: Any = []
    for _ in range(levels):
        document = [document]
    return document
