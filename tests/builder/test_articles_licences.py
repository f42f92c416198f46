"""What a build decides about licences and credits of articles of every vintage, by the real command."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.cli import run
from dataset_builder.pmc.jats import read_article
from dataset_builder.stages import licence
from dataset_builder.stages.licence import LicenceOptions, select

from made_articles import PICTURE_NAME, TABLES, article, png
from real_build import write_inputs
from s3_server import Bucket

BY_URL = "http://creativecommons.org/licenses/by/3.0/"
BY = "distributed under the terms of the Creative Commons Attribution License"
NC_ND_URL = "https://creativecommons.org/licenses/by-nc-nd/4.0/"
NC = "Users may use this article for non-commercial purposes provided that it is cited."
DEED = "Creative Commons Deed, Attribution 2.5, which does not permit commercial exploitation."
NLM_2 = (
    "<copyright-statement>Roe et al.</copyright-statement><copyright-year>2005</copyright-year>"
    f'<license license-type="open-access"><p>{BY} (<ext-link xlink:href="{BY_URL}">here</ext-link>).</p>'
    "</license>"
)
RESERVED = "All rights reserved. No redistribution without permission of the publisher."


def permissions(inner: str) -> str:
    return f"<permissions>{inner}</permissions>"


# Name: licence code of the metadata, article-meta, what stands beside the graphic, reason of the drop.
ARTICLES: dict[str, tuple[str | None, str, str, str]] = {
    "JATS 1.x": (
        None,
        permissions(f'<license xlink:href="{BY_URL}"/>'),
        "",
        "",
    ),
    "NLM 3.0": (None, permissions(f"<license><license-p>{BY}</license-p></license>"), "", ""),
    "NLM 2.x": (None, NLM_2, "", ""),
    "statement alone": (None, f"<copyright-statement>© 2005 Roe. {BY}.</copyright-statement>", "", ""),
    "ali": (None, permissions(f"<ali:license_ref>{BY_URL}</ali:license_ref>"), "", ""),
    "attribute of PMC": (
        None,
        permissions('<license><ali:license_ref content-type="ccbyncndlicense">x</ali:license_ref></license>'),
        "",
        licence.NOT_ALLOWED,
    ),
    "metadata against NLM 2.x": (
        "CC BY",
        f'<license license-type="open-access" xlink:href="{NC_ND_URL}"><p>x</p></license>',
        "",
        licence.SOURCES_DISAGREE,
    ),
    "link against words": (
        None,
        f'<license xlink:href="{BY_URL}"><p>{DEED}</p></license>',
        "",
        licence.SOURCES_DISAGREE,
    ),
    "metadata against words": ("CC BY", f"<license><p>{NC}</p></license>", "", licence.SOURCES_DISAGREE),
    "metadata with words": ("CC BY-NC", f"<license><p>{NC}</p></license>", "", ""),
    "words alone": (None, f"<license><p>{NC}</p></license>", "", licence.NO_LICENCE),
    "metadata against reserved": (
        "CC BY",
        permissions(f"<copyright-statement>© 2010 A publisher. {RESERVED}</copyright-statement>"),
        "",
        licence.SOURCES_DISAGREE,
    ),
    "metadata against a user licence": (
        "CC BY",
        permissions('<license xlink:href="http://www.example.com/open-access/userlicense/1.0/"/>'),
        "",
        licence.SOURCES_DISAGREE,
    ),
    "figure grants more": (
        "CC BY-NC-ND",
        "",
        permissions(f'<license xlink:href="{BY_URL}"/>'),
        licence.SOURCES_DISAGREE,
    ),
    "figure grants less": (
        "CC BY",
        "",
        f'<license xlink:href="{NC_ND_URL}"><p>CC BY-NC-ND</p></license>',
        licence.SOURCES_DISAGREE,
    ),
    "figure is a publisher's": (
        "CC BY",
        "",
        "<copyright-statement>© 2010 A publisher</copyright-statement>",
        licence.THIRD_PARTY,
    ),
    "own work": ("CC BY", "", "<attrib>Own work</attrib>", ""),
    "courtesy": ("CC BY", "", "<attrib>Image courtesy Dr A. Roe</attrib>", licence.THIRD_PARTY),
    "legend beside the caption": ("CC BY", "", "<p>Copyright Jane Roe.</p>", licence.THIRD_PARTY),
    "nothing": (None, "", "", licence.NO_LICENCE),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a build of all articles, each with a picture of its own."""
    folder = tmp_path_factory.mktemp("vintages")
    bucket = Bucket()
    for number, (code, meta, beside, _) in enumerate(ARTICLES.values(), start=1):
        xml = article(meta=meta, beside=beside)
        bucket.add_article(f"PMC{number}", 1, {PICTURE_NAME: png(seed=number)}, xml=xml, license_code=code)
    bucket.write(folder / "pmc")
    rows = [
        {"PMCID": f"PMC{number}", "file": PICTURE_NAME, "concepts": "C0024109", "concepts_manual": ""}
        for number in range(1, len(ARTICLES) + 1)
    ]
    write_inputs(folder, rows)
    (folder / "build.toml").write_text('[source]\nkind = "folder"\npath = "pmc"\n' + TABLES)
    assert run(["run", str(folder / "build.toml"), "--workers", "1", "--quiet"]) == 0
    return folder


@pytest.fixture
def drops(built: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    """Return the drops of the licence stage by the name of the article."""
    capsys.readouterr()
    assert run(["drops", str(built / "build.toml"), "--stage", "licence", "--format", "csv"]) == 0
    rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
    names = list(ARTICLES)
    return {names[int(row["key"].partition("/")[0].removeprefix("PMC")) - 1]: row for row in rows}


def test_a_build_decides_each_vintage_and_tells_why(drops: dict[str, dict[str, str]]) -> None:
    expected = {name: reason for name, (*_, reason) in ARTICLES.items() if reason}
    assert expected == {name: row["reason"] for name, row in drops.items()}
    assert all(row["detail"] for row in drops.values())


def test_a_drop_quotes_both_sources_that_disagree(drops: dict[str, dict[str, str]]) -> None:
    detail = drops["metadata against words"]["detail"]
    assert "metadata: CC BY ('CC BY')" in detail
    assert "license-text: no commercial use ('" in detail
    assert "for non-commercial purposes" in detail


def test_the_attribution_has_licence_link_and_copyright_line(built: Path) -> None:
    with (built / "dataset/attribution.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["PMCID"]: row for row in csv.DictReader(file)}
    number = list(ARTICLES).index("NLM 2.x") + 1
    row = rows[f"PMC{number}"]
    assert (row["Licence link"], row["Copyright"]) == (
        "https://creativecommons.org/licenses/by/3.0/",
        "Roe et al.",
    )


PLACES: dict[str, Callable[[str], str]] = {
    "permissions": lambda text: permissions(f"<license><license-p>{text}</license-p></license>"),
    "NLM 2.x": lambda text: f"<license><p>{text}</p></license>",
    "copyright-statement": lambda text: f"<copyright-statement>{text}</copyright-statement>",
    "nested copyright-statement": lambda text: permissions(
        f"<copyright-statement>{text}</copyright-statement>"
    ),
    "license_ref": lambda text: permissions(f"<ali:license_ref>{text}</ali:license_ref>"),
}
STRICTER = (
    NC,
    RESERVED,
    "CC BY-NC-ND",
    NC_ND_URL,
    "Creative Commons Attribution-NonCommercial 4.0",
    "Sin fines comerciales.",
    "The work may not be altered.",
    "Published under an exclusive license.",
    "Tous droits réservés.",
    "This article is in the public domain.",
)


@given(
    of_article=st.sampled_from(list(PLACES)),
    other=st.sampled_from(list(PLACES)),
    stricter=st.sampled_from(STRICTER),
    is_figures=st.booleans(),
)
def test_a_stricter_statement_in_any_place_keeps_a_free_one_from_passing(
    of_article: str,
    other: str,
    stricter: str,
    is_figures: bool,  # noqa: FBT001
) -> None:
    meta = PLACES[of_article](BY_URL)
    strict = PLACES[other](stricter)
    xml = article(beside=strict, meta=meta) if is_figures else article(meta=meta + strict)
    kept, drops = select(read_article(xml, "a.xml").figures, LicenceOptions(third_party="keep"))
    assert not kept
    assert [drop.reason for drop in drops] == [licence.SOURCES_DISAGREE]


@given(
    place=st.sampled_from(list(PLACES)), spelled=st.sampled_from([BY_URL, BY, "CC BY 4.0", "(by 4.0) CC-BY"])
)
def test_a_free_licence_is_found_in_any_place(place: str, spelled: str) -> None:
    kept, _ = select(read_article(article(meta=PLACES[place](spelled)), "a.xml").figures, LicenceOptions())
    assert [figure.licence.code for figure in kept] == ["CC BY"]
