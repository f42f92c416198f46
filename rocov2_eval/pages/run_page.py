"""The page of one run, and the page of a run that was rejected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from markupsafe import Markup

from rocov2_eval.editions import EDITIONS
from rocov2_eval.metrics import main_outputs, metric_of
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.pages.disclosure import FEWEST_IN_PUBLIC_HISTOGRAM, PRIVATE_BINS, PUBLIC_BINS
from rocov2_eval.pages.tables import (
    TASK_TITLES,
    breakdown,
    faults_of,
    file_name,
    page,
    signatures_of,
    title_of,
)
from rocov2_eval.ranking import Board, Standing
from rocov2_eval.records import Finding, FloatArray
from rocov2_eval.rendering.svg import Bin, histogram
from rocov2_eval.scoring import Report
from rocov2_eval.worst_images import WorstImage


@dataclass(frozen=True, kw_only=True)
class Card:
    """One of the worst images with its picture, if there is one, and the answers of both sides.

    Attributes:
        image: The image with its score and the texts of both sides.
        picture: Address of the picture; None where there is none.
        matched: Concepts of the run that the truth has too; none for captions.
        missed: Concepts of the truth that the run has not; none for captions.
        invented: Concepts of the run that the truth has not; none for captions.
    """

    image: WorstImage
    picture: str | None
    matched: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()


def run_page(
    report: Report,
    *,
    title: str,
    private: bool,
    board: Board | None = None,
    standing: Standing | None = None,
    metadata: Mapping[str, Any] | None = None,
    worst: Sequence[WorstImage] = (),
    picture: Callable[[str], str | None] | None = None,
    home: str | None = None,
) -> str:
    """Return the page of one run.

    Args:
        report: The scores of the run.
        title: Heading of the page.
        private: For the organisers: with the truth, the worst images and the contact.
        board: The ranking of the run, if it has one.
        standing: The place of the run in that ranking.
        metadata: The submission.json of the run; else that of the standing.
        worst: The images that the run does worst on; left out of a public page.
        picture: Returns a relative or `data:` address for an image id, None where there is no picture.
        home: Address of the front page.
    """
    about = metadata if metadata is not None else standing.entry.metadata if standing else {}
    outputs = main_outputs(report.metrics)
    return page(
        "run.html",
        title=title,
        private=private,
        home=home,
        report=report,
        task=TASK_TITLES[report.task],
        board=board,
        standing=standing,
        about=_about(about, private=private),
        outputs=outputs,
        not_computed=_not_computed(report, private=private),
        distributions=_distributions(report, private=private),
        breakdowns=[
            breakdown(facet, dict.fromkeys(outputs, groups), outputs, private=private, marks=True)
            for facet, groups in report.breakdowns.items()
        ],
        errors=report.concept_errors if private else None,
        worst=[_card(item, report, picture) for item in worst] if private else [],
        faults=faults_of(report.findings, report.truth, private=private),
        signatures=signatures_of(report),
        inputs=[report.run, *report.truth] if private else [(file_name(report.run[0]), report.run[1])],
    )


def findings_page(title: str, findings: Sequence[Finding], *, message: str | None = None) -> str:
    """Return a page of findings for participants; what is about the truth is left out and counted."""
    faults = faults_of(findings, private=False)
    return page("findings.html", title=title, private=False, faults=faults, message=message)


def _distributions(report: Report, *, private: bool) -> dict[str, Markup | None]:
    """Return a histogram of each main score, None where too few images would tell their scores."""
    pictures: dict[str, Markup | None] = {}
    for name in main_outputs(report.metrics):
        scores = report.samples[name]
        values = scores.values[scores.scored]
        if not len(values):
            continue
        few = not private and len(values) < FEWEST_IN_PUBLIC_HISTOGRAM
        bins = PRIVATE_BINS if private else PUBLIC_BINS
        pictures[name] = None if few else _histogram(values, name, bins)
    return pictures


def _histogram(values: FloatArray, output: str, bins: int) -> Markup:
    # Fixed ends: those of the scores themselves would be the scores of two images.
    top = 1.0 if output in DERIVED else metric_of(output).bounds[1]
    ends = (-1.0 if (values < 0).any() else 0.0, top if np.isfinite(top) else 1.0)
    counts, edges = np.histogram(np.clip(values, *ends), bins=bins, range=ends)
    bars = [
        Bin(label="", words=f"{low:.2f} to {high:.2f}", number=int(count))
        for count, low, high in zip(counts, edges, edges[1:], strict=False)
    ]
    return histogram(bars, title=f"Images by {title_of(output)}", key=f"histogram-{output}", ends=ends)


def _not_computed(report: Report, *, private: bool) -> dict[str, str]:
    """Return the reasons why scores are missing; what the organisers lack concerns nobody else."""
    excluded = EDITIONS[report.edition].captions.excluded
    return {
        name: reason if private or name in excluded else "not computed by the organisers"
        for name, reason in report.not_computed.items()
    }


def _about(metadata: Mapping[str, Any], *, private: bool) -> dict[str, Any]:
    """Return what a submission.json says that a page may show."""
    links = {name: _link(metadata.get(name)) for name in ("paper", "code")}
    external = metadata.get("external_data")
    return {
        "method": [line for line in str(metadata.get("method") or "").splitlines() if line.strip()],
        "external_data": [str(item) for item in external] if isinstance(external, list | tuple) else None,
        "links": {name: address for name, address in links.items() if address},
        "contact": str(metadata.get("contact") or "") if private else "",
    }


def _link(address: object) -> str | None:
    """Return an address that leads to a web page and does nothing else, None for any other."""
    text = str(address or "")
    if not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in {"http", "https"} and parts.hostname else None


def _card(item: WorstImage, report: Report, picture: Callable[[str], str | None] | None) -> Card:
    address = _own_picture(picture(item.image_id)) if picture else None
    if report.task == "captions":
        return Card(image=item, picture=address)
    given, wanted = (
        {cui.strip().upper(): None for cui in cell.split(";") if cui.strip()}
        for cell in (item.candidate, item.reference)
    )
    return Card(
        image=item,
        picture=address,
        matched=tuple(cui for cui in wanted if cui in given),
        missed=tuple(cui for cui in wanted if cui not in given),
        invented=tuple(cui for cui in given if cui not in wanted),
    )


def _own_picture(address: str | None) -> str | None:
    """Return an address that stays with the page: relative, or the picture itself."""
    if not address or address.startswith(("/", "\\")):
        return None
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", address)
    return None if scheme and not address.startswith("data:image/") else address
