"""Turn a plan of a study of agreement into text: for a terminal, as JSON, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from dataset_builder.agreement.planning import ClassPlan, Plan
from dataset_builder.agreement.text_tables import aligned, escaped, markdown_table
from rocov2_eval import __version__
from rocov2_eval.editions import LABELS
from rocov2_eval.shelf.words import shorten

SCHEMA_VERSION = 1
_HEADER = ("class", "share", "draw", "expected width", "images for the width")


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan for JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "rocov2-build", "version": __version__},
        "expected_kappa": plan.options.kappa,
        "wanted": {
            "width": plan.options.width,
            "level": plan.options.level,
            "floor": plan.options.floor,
            "power": plan.options.power,
            "images": plan.options.images,
            "per_class": plan.options.per_class,
        },
        "images_for_width": plan.images_for_width,
        "images_for_power": plan.images_for_power,
        "images": plan.images,
        "width": plan.width,
        "power": plan.power,
        "classes": [
            {
                "class": each.value,
                "share": each.share,
                "available": each.available,
                "images": each.images,
                "width": each.width,
                "images_for_width": each.images_for_width,
            }
            for each in plan.classes
        ],
    }


def plan_json(plan: Plan) -> str:
    """Return the document as text."""
    return json.dumps(plan_document(plan), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def plan_text(plan: Plan) -> str:
    """Return a plan for a terminal."""
    table = aligned([_HEADER, *map(_cells, plan.classes)])
    shortfalls = _shortfalls(plan)
    return "\n".join([*_sentences(plan), "", *table, *([""] if shortfalls else []), *shortfalls]) + "\n"


def plan_markdown(plan: Plan) -> str:
    """Return a plan as Markdown."""
    first, *others = _sentences(plan)
    table = markdown_table([_HEADER, *map(_cells, plan.classes)])
    lines = [f"**{first}**", "", *(f"- {line}" for line in [*others, *map(escaped, _shortfalls(plan))])]
    return "\n".join([*lines, "", *table]) + "\n"


REPORTERS: Mapping[str, Callable[[Plan], str]] = {
    "text": plan_text,
    "json": plan_json,
    "markdown": plan_markdown,
}


def _sentences(plan: Plan) -> list[str]:
    options = plan.options
    level = f"{100 * options.level:g} % interval"
    power = (
        f"not planned for: kappa {options.kappa:g} is not expected above {options.floor:g}"
        if plan.images_for_power is None
        else f"{plan.images_for_power:,} images"
    )
    least = f", at least {options.per_class:,} of each class" if options.per_class else ""
    share = 100 * plan.power
    return [
        f"Two raters, expected kappa {options.kappa:g}",
        f"for a {level} of width {options.width:g}: {plan.images_for_width:,} images",
        f"for the {level} to lie above {options.floor:g} in {100 * options.power:g} % of studies: {power}",
        f"draw {plan.images:,} images{least}: expected width {plan.width:.3f}, power {share:.1f} %",
    ]


def _cells(each: ClassPlan) -> tuple[str, ...]:
    return (
        _name(each),
        f"{each.share:.4f}",
        f"{each.images:,}",
        "none drawn" if each.width is None else f"{each.width:.3f}",
        f"{each.images_for_width:,}",
    )


def _shortfalls(plan: Plan) -> list[str]:
    """Return where there are fewer images than were asked for: in all, and of each class."""
    options = plan.options
    few = [("all classes", plan.images, options.images or 0)] + [
        (_name(each), each.available, options.per_class)
        for each in plan.classes
        if each.available is not None
    ]
    return [
        f"{name}: there are only {there:,} images, fewer than the {asked:,} asked for"
        for name, there, asked in few
        if there < asked
    ]


def _name(each: ClassPlan) -> str:
    return shorten(LABELS.get(each.value, each.value), 30)
