"""Pages of HTML that need nothing but themselves: one frame, one style, one policy for all packages.

Whatever comes from a stranger is text: escaped by the templates, rid of control characters by `shorten`,
set apart in `<bdi>`; the policy in the head of each page lets no script run but our own.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rocov2_eval import __version__
from rocov2_eval.rendering.document import Document
from rocov2_eval.rendering.values import is_number, value_text
from rocov2_eval.shelf.words import counted, shorten

_OWN = "rocov2_eval.rendering"


def environment(package: str) -> Environment:
    """Return the templates of a package and the frame of all pages, with the filters that each page has."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(name, "templates") for name in (package, _OWN)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(clean=shorten, count=counted)
    return made


def page(
    templates: Environment,
    name: str,
    *,
    style: str = "",
    script: str = "",
    home: str | None = None,
    picture_sources: str = "'self' data:",
    **values: Any,  # noqa: ANN401  what a template shows is of any type
) -> str:
    """Return a template filled with values, within the frame of all pages.

    Args:
        templates: Made by `environment`.
        name: File name of the template, which extends `base.html`.
        style: CSS of this page, beside the style of all pages.
        script: Script of this page; empty for none.
        home: Address of the front page; None where there is none.
        picture_sources: Where pictures may come from, in the words of a content security policy.
        values: What the template shows; `title` and `private` are needed by the frame.
    """
    style = resource(_OWN, "style.css") + style
    return templates.get_template(name).render(
        style=Markup(style),  # noqa: S704  our own files
        script=Markup(script),  # noqa: S704  our own file
        policy=_policy(style, script, picture_sources),
        home=home,
        version=__version__,
        **values,
    )


def fragment(document: Document) -> str:
    """Return a document as HTML for the page of somebody else, such as a notebook."""
    templates = environment(_OWN)
    templates.globals.update(text=value_text, is_number=is_number)
    return templates.get_template("document.html").render(document=document)


@cache
def resource(package: str, name: str) -> str:
    """Return the text of a file among the templates of a package."""
    return (files(package) / "templates" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str, picture_sources: str) -> str:
    """Return a content security policy: our own style and script, pictures beside the page, nothing else."""
    rules = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "img-src": picture_sources,
        "base-uri": "'none'",
        "form-action": "'none'",
        **({"script-src": _hash(script)} if script else {}),
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
