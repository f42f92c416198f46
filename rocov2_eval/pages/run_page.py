"""The page of one run, and the page of a run that was rejected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from markupsafe import Markup

from rocov2_eval.metrics import main_outputs, metric_of
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.pages.disclosure import public_board, public_report
from rocov2_eval.pages.tables import (
    TASK_TITLES,
    breakdown,
    faults_of,
    page,
    signatures_of,
    title_of,
)
from rocov2_eval.ranking import Board, Standing
from rocov2_eval.records import Finding, FloatArray
from rocov2_eval.rendering.svg import Bin, histogram
from rocov2_eval.scoring import Report
from rocov2_eval.shelf.files import short_path
from rocov2_eval.shelf.words import file_name
from rocov2_eval.worst_images import WorstImage

_BINS = 20


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
    truth_retired: bool = False,
    board: Board | None = None,
    standing: Standing | None = None,
    metadata: Mapping[str, Any] | None = None,
    worst: Sequence[WorstImage] = (),
    names: Mapping[str, str] | None = None,
    picture: Callable[[str], str | None] | None = None,
    site: str | None = None,
) -> str:
    """Return the page of one run.

    Args:
        report: The scores of the run; see `disclosure.public_report` for what is shown of them.
        title: Heading of the page.
        private: For the organisers: with everything that is known, the contact too.
        truth_retired: The truth is no longer in use, and everybody may read what it tells.
        board: The ranking of the run, if it has one.
        standing: The place of the run in that ranking.
        metadata: The submission.json of the run; else that of the standing.
        worst: The images that the run does worst on; left out while participants must not know the truth.
        names: Canonical names of concepts by CUI, as far as the dataset has them.
        picture: Returns a relative or `data:` address for an image id, None where there is no picture.
        site: The way to the folder of the site, such as `../..`; None for a page that belongs to none.
    """
    about = metadata if metadata is not None else standing.entry.metadata if standing else {}
    is_whole = private or truth_retired
    if not is_whole and report.samples:  # else it is what participants may know already
        report = public_report(report)
        if board and standing:
            name, board = standing.entry.name, public_board(board)
            standing = next(item for item in board.standings if item.entry.name == name)
    outputs = main_outputs(report.metrics)
    return page(
        "run.html",
        title=title,
        private=private,
        truth_retired=truth_retired,
        is_whole=is_whole,
        home=None if site is None else f"{site}/index.html",
        site=site,
        report=report,
        task=TASK_TITLES[report.task],
        board=board,
        standing=standing,
        about=_about(about, private=private),
        outputs=outputs,
        not_computed=_without_folders(report),
        distributions=_distributions(report),
        breakdowns=[
            breakdown(facet, dict.fromkeys(outputs, groups), outputs, marks=True)
            for facet, groups in report.breakdowns.items()
        ],
        errors=report.concept_errors,
        worst=[_card(item, report, picture) for item in worst] if is_whole else [],
        names=(names or {}) if is_whole else {},
        faults=faults_of(report.findings, report.truth, private=private),
        signatures=signatures_of(report),
        inputs=[
            (short_path(path) if private else file_name(path), sha256)
            for path, sha256 in (report.run, *(report.truth if private else ()))
        ],
    )


def findings_page(title: str, findings: Sequence[Finding], *, message: str | None = None) -> str:
    """Return a page of findings for participants; what is about the truth is left out and counted."""
    faults = faults_of(findings, private=False)
    return page("findings.html", title=title, private=False, faults=faults, message=message)


def _without_folders(report: Report) -> dict[str, str]:
    """Return what was not computed and why, without the folders that only this machine has."""
    files = [path for path, _ in (report.run, *report.truth)]
    places = [*files, *(str(Path(path).parent) for path in files if Path(path).is_absolute())]
    found = dict(report.not_computed)
    for place in places:
        found = {name: reason.replace(place, short_path(place)) for name, reason in found.items()}
    return found


def _distributions(report: Report) -> dict[str, Markup]:
    """Return a histogram of each main score that any image has."""
    return {
        name: _histogram(scores.values[scores.scored], name)
        for name in main_outputs(report.metrics)
        if (scores := report.samples.get(name)) and scores.n
    }


def _histogram(values: FloatArray, output: str) -> Markup:
    top = 1.0 if output in DERIVED else metric_of(output).bounds[1]
    ends = (-1.0 if (values < 0).any() else 0.0, top if np.isfinite(top) else 1.0)
    counts, edges = np.histogram(np.clip(values, *ends), bins=_BINS, range=ends)
    bars = [
        Bin(label="", words=f"{low:.2f} to {high:.2f}", number=int(count))
        for count, low, high in zip(counts, edges, edges[1:], strict=False)
    ]
    return histogram(bars, title=f"Images by {title_of(output)}", key=f"histogram-{output}", ends=ends)


def web_links(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses of a submission.json that lead to web pages, by `paper` or `code`."""
    links = {name: _link(metadata.get(name)) for name in ("paper", "code")}
    return {name: address for name, address in links.items() if address}


def _about(metadata: Mapping[str, Any], *, private: bool) -> dict[str, Any]:
    """Return what a submission.json says that a page may show."""
    external = metadata.get("external_data")
    return {
        "method": [line for line in str(metadata.get("method") or "").splitlines() if line.strip()],
        "external_data": [str(item) for item in external] if isinstance(external, list | tuple) else None,
        "links": web_links(metadata),
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
