"""Which articles may be used at all, whatever kind of source they come from."""

from __future__ import annotations

from dataset_builder.pmc.layout import ArticleMetadata
from dataset_builder.records import Drop, Entry
from dataset_builder.sources import STAGE

NOT_THERE = "not in the source"
RETRACTED = "retracted"
HISTORICAL = "historical OCR"
MANUSCRIPT = "author manuscript"
NOT_OPEN_ACCESS = "not open access"
NO_FULL_TEXT = "no full text"


def entry_of(metadata: ArticleMetadata, *, manuscripts: bool) -> Entry | Drop:
    """Return what may be used of the newest version of an article, or why nothing of it may.

    Older versions are never asked: a publisher who withdraws an article withdraws all of it.

    Args:
        metadata: What the service says of the newest version.
        manuscripts: Whether author manuscripts are kept.
    """
    version = f"version {metadata.version}"
    if metadata.is_retracted:
        return dropped(metadata.pmcid, RETRACTED, version)
    if metadata.is_historical_ocr:
        return dropped(metadata.pmcid, HISTORICAL, version)
    if metadata.is_manuscript and not manuscripts:
        return dropped(metadata.pmcid, MANUSCRIPT, version)
    if not metadata.is_open_access:
        return dropped(metadata.pmcid, NOT_OPEN_ACCESS, version)
    if metadata.xml is None:
        return dropped(metadata.pmcid, NO_FULL_TEXT, version)
    return Entry(
        pmcid=metadata.pmcid,
        xml=metadata.xml,
        media=metadata.media,
        version=metadata.version,
        licence=metadata.licence,
    )


def dropped(pmcid: str, reason: str, detail: str = "") -> Drop:
    """Return the drop of an article."""
    return Drop(stage=STAGE, key=pmcid, reason=reason, detail=detail)
