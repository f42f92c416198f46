"""Bytes of a stranger into an XML tree: no entity is expanded, no DTD is loaded, nothing is fetched.

The danger lies in entities that the document declares itself. libxml2 expands them in attribute values
whatever it is told, and its guard against that is part of what `huge_tree` switches off. So a document is
first searched for declarations; one that has the word in it is parsed with the guard on and rejected if it
really declares any. The search is exact because the encoding is decided here, not by the parser.
"""

from __future__ import annotations

import re
from typing import Any

from rocov2_eval.errors import MissingResource, RejectedInput
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.words import shorten

Element = Any  # an lxml element; lxml ships no types
MAX_BYTES = 128 * 1024 * 1024  # the largest articles of PMC have some tens of megabytes

_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "windows-1252": "windows-1252",
}
_DECLARED = re.compile(rb"""\A(?:\xef\xbb\xbf)?<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]*)["']""")
_NAMESPACE = re.compile(r"\{https?://(?:dtd|jats)\.nlm\.nih\.gov[^}]*\}")


def parse(content: bytes, path: str) -> Element:
    """Return the root element, JATS elements without their namespace.

    `collect_ids=False` would make lxml a little faster, and load the DTD in spite of `load_dtd=False`.

    Raises:
        RejectedInput: The content is no well-formed XML, declares entities, or is too large.
        MissingResource: lxml is not installed.
    """
    try:
        from lxml import etree
    except ImportError as error:
        raise MissingResource(f"{error.name} is not installed: {install_command('builder')}") from error

    if len(content) > MAX_BYTES:
        raise RejectedInput(f"{path}: {len(content):,} bytes, expected an article of at most {MAX_BYTES:,}")
    declares = b"<!ENTITY" in content
    parser = etree.XMLParser(
        encoding=_encoding(content, path),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=not declares,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise RejectedInput(
            f"{path}{line}: no well-formed XML: {shorten(error.msg or 'empty', 120)}"
        ) from error
    if declares:
        _reject_declarations(root, path)
    if next(root.iter("article"), None) is None:
        _strip_namespace(root)
    return root


def _encoding(content: bytes, path: str) -> str:
    """Return the encoding to read with, or reject those in which a search for ASCII bytes proves nothing."""
    match = _DECLARED.match(content[:1000])
    declared = match[1].decode("ascii", "replace") if match else "utf-8"
    if b"\x00" in content[:4] or content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        declared = "UTF-16 or UTF-32"
    encoding = _ENCODINGS.get(declared.lower())
    if encoding is None:
        raise RejectedInput(f"{path}: encoding {shorten(declared)}, expected UTF-8; convert the file first")
    return encoding


def _reject_declarations(root: Element, path: str) -> None:
    """Reject a document with entities of its own: an article of PMC has none."""
    subset = root.getroottree().docinfo.internalDTD
    for entity in subset.iterentities() if subset is not None else ():
        message = (
            f"{path}: declares the entity {shorten(entity.name or '')!r}, expected an article without any"
        )
        raise RejectedInput(f"{message}; nothing was expanded or fetched")


def _strip_namespace(root: Element) -> None:
    """Give JATS elements the names they have in files without a default namespace."""
    for element in root.iter("{*}*"):
        match = _NAMESPACE.match(element.tag)
        if match:
            element.tag = element.tag[match.end() :]
