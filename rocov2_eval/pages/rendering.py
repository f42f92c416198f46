"""Turn values into HTML that needs nothing but itself.

Whatever comes from a team is text: escaped by the templates, rid of control characters by `shorten`,
set apart in `<bdi>`; the policy in the head of each page lets no script run but our own.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rocov2_eval import __version__
from rocov2_eval.pages.charts import score_text
from rocov2_eval.pages.disclosure import FEWEST_IN_PUBLIC_HISTOGRAM, FEWEST_IN_PUBLIC_MEAN, told
from rocov2_eval.pages.tables import title_of
from rocov2_eval.ranking import Standing
from rocov2_eval.shelf.words import shorten


def render(template: str, **values: Any) -> str:  # noqa: ANN401  what a template shows is of any type
    """Return a template filled with values, the style of all pages among them."""
    style = Markup(resource("style.css"))  # noqa: S704  our own file
    values = {"script": None, "home": None, **values}
    return _environment().get_template(template).render(style=style, version=__version__, **values)


def policy_of(*, script: str | None = None, style: str | None = None, pictures: str = "'self' data:") -> str:
    """Return a content security policy: our own style and script, pictures beside the page, nothing else.

    Args:
        script: That of the page, None where it has none.
        style: That of the page, None for the style of all pages alone.
        pictures: Where pictures may come from.
    """
    rules = {
        "default-src": "'none'",
        "style-src": _hash(resource("style.css") if style is None else style),
        "img-src": pictures,
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    if script is not None:
        rules["script-src"] = _hash(script)
    return "; ".join(f"{name} {value}" for name, value in rules.items())


@cache
def resource(name: str) -> str:
    """Return the text of a file beside the templates."""
    return (files("rocov2_eval.pages") / "templates" / name).read_text(encoding="utf-8")


def new_environment(*packages: str) -> Environment:
    """Return templates of packages, before those of all pages, with the filters that every page has."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader(package, "templates") for package in (*packages, "rocov2_eval.pages")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clean=shorten, count=lambda value, noun: f"{value:,} {noun}{'' if value == 1 else 's'}"
    )
    return environment


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


@cache
def _environment() -> Environment:
    environment = new_environment()
    environment.filters.update(
        number=score_text,
        told=lambda value, private: told(value, private=private),
        score_title=title_of,
        run_address=_run_address,
    )
    environment.globals.update(fewest=FEWEST_IN_PUBLIC_MEAN, fewest_bars=FEWEST_IN_PUBLIC_HISTOGRAM)
    return environment


def _run_address(standing: Standing) -> str:
    team, run = (quote(name, safe="") for name in (standing.entry.team, standing.entry.run))
    return f"runs/{team}/{run}.html"
