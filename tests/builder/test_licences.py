from __future__ import annotations

import csv
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.licence_codes import CODES, codes_in, normalise
from dataset_builder.records import Drop, Figure, LicenceSource, LicenceStatement
from dataset_builder.stages import licence
from dataset_builder.stages.licence import LicenceOptions, decide, select
from dataset_builder.stages.third_parties import third_party_words

from made_figures import made_figure

DEFAULT = LicenceOptions()


def says(text: str, source: LicenceSource = "metadata") -> LicenceStatement:
    return LicenceStatement(source=source, text=text)


def figure(*article_licences: LicenceStatement, **fields: Any) -> Figure:
    return made_figure(article_licences=article_licences, **fields)


def outcome(one: Figure, options: LicenceOptions = DEFAULT) -> str:
    """Return the licence of a figure that passes, the reason for one that does not."""
    kept, drops = select([one], options)
    return [*(each.licence.code for each in kept), *(drop.reason for drop in drops)][0]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CC BY", "CC BY"),
        ("cc-by", "CC BY"),
        (" CC  BY 4.0 ", "CC BY"),
        ("CC BY-NC-SA 3.0 IGO", "CC BY-NC-SA"),
        ("CC-BY-NC-ND 4.0", "CC BY-NC-ND"),
        ("CC BY NC ND", "CC BY-NC-ND"),
        ("CC BY-ND", "CC BY-ND"),
        ("CC0", "CC0"),
        ("CC 0 1.0", "CC0"),
        ("NO-CC CODE", "NO-CC CODE"),
        ("TDM", "TDM"),
        ("http://creativecommons.org/licenses/by/4.0/", "CC BY"),
        ("https://www.creativecommons.org/licences/by-nc/3.0/igo/legalcode", "CC BY-NC"),
        ("http://creativecommons.org/licenses/by-nd-nc/1.0/", "CC BY-NC-ND"),
        ("https://creativecommons.org/licenses/by-sa/4.0/deed.en", "CC BY-SA"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "PUBLIC DOMAIN"),
        (
            "an article under the terms of the Creative Commons Attribution License, which permits any use",
            "CC BY",
        ),
        ("licença Creative Commons Attribution, que permite uso", "CC BY"),
        ("Creative Commons Attribution 4.0 International License (CC BY 4.0)", "CC BY"),
        ("the Creative Commons Attribution-NonCommercial-NoDerivs License", "CC BY-NC-ND"),
        ("Creative Commons Attribution \u2013 Non Commercial (unported, v3.0) License", "CC BY-NC"),
        ("Creative Commons Attribution Noncommercial Share Alike 3.0", "CC BY-NC-SA"),
        ("Creative Commons Attribution 3.0 No Derivative Works", "CC BY-ND"),
        ("Creative Commons Attribution License for commercial and non-commercial use", "CC BY"),
        ("under the CC BY-NC-ND license (http://creativecommons.org/licenses/by-nc-nd/4.0/).", "CC BY-NC-ND"),
        ("the Creative Commons CC0 public domain dedication", "CC0"),
        ("the Creative Commons Public Domain declaration", "CC0"),
    ],
)
def test_spellings_of_a_licence_come_to_one_code(text: str, code: str) -> None:
    assert code == normalise(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CC BY\u2013NC\u2013ND 4.0", "CC BY-NC-ND"),
        ("CC BY\u2012NC", "CC BY-NC"),
        ("CC BY\u2212NC", "CC BY-NC"),
        ("CC BY\u2010NC\u2010ND", "CC BY-NC-ND"),
        ("CC BY\u2011NC\u2011ND", "CC BY-NC-ND"),
        ("CC BY\u00adNC\u00adND", "CC BY-NC-ND"),
        ("CC BYNCND", "CC BY-NC-ND"),
        ("\uff23\uff23 \uff22\uff39\uff0d\uff2e\uff23", "CC BY-NC"),
        ("CC BY, NC, ND", "CC BY-NC-ND"),
        ("CC BY (NC)", "CC BY-NC"),
        ("CC BY + NC", "CC BY-NC"),
        ("CC BY:NC", "CC BY-NC"),
        ("CC BY N.C. N.D.", "CC BY-NC-ND"),
        ("CC BY&nbsp;NC", "CC BY-NC"),
        ("CC BY\u00a0NC", "CC BY-NC"),
        ("CC BY&ndash;ND", "CC BY-ND"),
        ("CC BY 4.0 NC", "CC BY-NC"),
        ("CC BY 3.0-NC", "CC BY-NC"),
        ("CC BY 3.0 US SA", "CC BY-SA"),
        ("CC BY 4.0-NC-ND", "CC BY-NC-ND"),
        ("CC BY (version 4.0, International): NC", "CC BY-NC"),
        ("CC BY 4.0 \u2122NC", "CC BY-NC"),
        ("Creative Commons Attribution-NC-ND 4.0", "CC BY-NC-ND"),
        ("Creative Commons Attribution 4.0 International NC", "CC BY-NC"),
        ("https://creativecommons.org/licenses/by%2Dnc/4.0/", "CC BY-NC"),
        ("https://creativecommons.org/licenses/by%252Dnc/4.0/", "CC BY-NC"),
        ("https://creativecommons.org/licenses/by\u2013nc/4.0/", "CC BY-NC"),
        ("https://creativecommons.org/licenses/by/nc-nd/4.0", "CC BY-NC-ND"),
        ("https://creativecommons.org/licenses/by_nc_sa/4.0", "CC BY-NC-SA"),
    ],
)
def test_no_separator_hides_an_element_of_a_licence(text: str, code: str) -> None:
    assert code == normalise(text)
    assert outcome(figure(says(text)), LicenceOptions(allow=("CC BY",))) == licence.NOT_ALLOWED


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ccbyncndlicense", "CC BY-NC-ND"),
        ("http://pubs.example.org/authorchoice_ccby_terms.html", "CC BY"),
        ("Creative Commons Atribución-NoComercial-SinDerivadas 4.0", "CC BY-NC-ND"),
        ("Creative Commons Atribuição Não Comercial, sem fins comerciais", "CC BY-NC"),
        (
            "Creative Commons Attribution - Pas d\u2019Utilisation Commerciale - Pas de Modification",
            "CC BY-NC-ND",
        ),
        ("Creative Commons Namensnennung - Nicht kommerziell - Keine Bearbeitung 3.0", "CC BY-NC-ND"),
        ("http://creativecommons.org/licenses/publicdomain/", "PUBLIC DOMAIN"),
        ("This article is in the public domain.", "PUBLIC DOMAIN"),
        ("Creative Commons Attribution 3.0 License (by-nc 3.0)", None),
        ("the Creative Commons Deed, Attribution 2.5, which does not permit commercial exploitation", None),
        ("http://creativecommons.org/licenses/nc/1.0/", None),
        ("Creative Commons by the authors", None),
    ],
)
def test_every_vintage_and_language_comes_to_its_code(text: str, code: str | None) -> None:
    assert code == normalise(text)


@pytest.mark.parametrize(
    "harmless",
    [
        "No use, distribution or reproduction is permitted which does not comply with these terms.",
        "If your intended use is not permitted by statutory regulation, you will need to obtain permission.",
        "The moral rights of the authors have been asserted. Some rights reserved.",
        "Permits unrestricted use, even commercially, without further permission.",
        "Users may copy it without asking prior permission from the publisher or the author.",
        "You may use it for commercial and non-commercial purposes. You must indicate if changes were made.",
        "The use of the logo is not permitted. No permission is required for any other use.",
        "Some rights reserved; exclusive licensee Example Association.",
    ],
)
def test_what_every_licence_says_contradicts_none(harmless: str) -> None:
    assert outcome(figure(says(f"CC BY 4.0. {harmless}", "license-text"))) == "CC BY"


@pytest.mark.parametrize(
    "limit",
    [
        "Unauthorized reproduction prohibited.",
        "Not for redistribution.",
        "Do not copy.",
        "Rights reserved by the publisher.",
        "All rights, including translation, reserved.",
        "Nachdruck verboten.",
        "Prohibida su reproducci\u00f3n total.",
        "Users may mine the content for the purposes of academic research, subject to conditions.",
        "May be used for research, teaching and private study. Redistribution is expressly forbidden.",
        "All commercial rights are reserved.",
        "Free except for commercial use.",
        "Commercial reuse: contact the publisher.",
        "Derivative works are prohibited.",
        "To be shared under the same terms.",
    ],
)
def test_words_that_withhold_something_contradict_a_free_licence(limit: str) -> None:
    assert outcome(figure(says("CC BY"), says(limit, "copyright-statement"))) == licence.SOURCES_DISAGREE


@pytest.mark.parametrize("text", ["CC BY and others", "CC BY, sample", "CC BY 3.0 IGO", "CC BY. San E."])
def test_a_word_that_begins_like_an_element_is_none(text: str) -> None:
    assert normalise(text) == "CC BY"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "open-access",
        "Creative Commons",
        "Published by the authors with proper attribution",
        "CC BY-NC-XX",
        "CC BY NC-XX",
        "https://creativecommons.org/licenses/by%xxnc/4.0/",
        "CC BYX",
        "CC BY-NoDerivs",
        "CC BY NonCommercial",
        "CC BY; no derivatives",
        "https://creativecommons.org/licenses/by-foo/4.0/",
        "https://creativecommons.org/licenses/",
        "https://www.elsevier.com/open-access/userlicense/1.0/",
    ],
)
def test_what_is_not_understood_is_no_licence(text: str | None) -> None:
    assert frozenset() == codes_in(text)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Creative Commons Attribution License, which permits non-commercial use", {"CC BY", "CC BY-NC"}),
        ("Creative Commons Attribution License; no derivatives", {"CC BY", "CC BY-ND"}),
        ("CC BY or CC BY-NC", {"CC BY", "CC BY-NC"}),
    ],
)
def test_a_text_that_says_two_things_names_both(text: str, codes: set[str]) -> None:
    assert (codes, None) == (codes_in(text), normalise(text))


@given(code=st.sampled_from([code for code in CODES if code.startswith("CC BY")]), data=st.data())
def test_case_hyphens_and_versions_never_change_a_code(code: str, data: st.DataObject) -> None:
    separator = data.draw(st.sampled_from(["-", " ", " - "]))
    version = data.draw(st.sampled_from(["", " 2.0", " 4.0", " 3.0 IGO", " 4.0 International"]))
    spelled = (
        code.replace("-", separator).replace("CC ", data.draw(st.sampled_from(["CC ", "CC-"]))) + version
    )
    assert code == normalise(data.draw(st.sampled_from([spelled, spelled.lower(), f"({spelled})"])))


SEPARATORS = st.text(st.characters(categories=("P", "S", "Z", "Pd", "Cf", "Cc", "Mn", "Lm")), max_size=4)
VERSIONS = st.sampled_from(["", "4.0", "v3.0", "3.0 IGO", "4.0 International", "3.0 Unported", "2.5 US"])


@given(code=st.sampled_from([code for code in CODES if code.startswith("CC BY")]), data=st.data())
def test_a_licence_never_comes_out_weaker_than_it_is_whatever_separates_its_elements(
    code: str, data: st.DataObject
) -> None:
    first, *elements = code.split("-")
    spelled = data.draw(st.sampled_from([first, "https://creativecommons.org/licenses/by"]))
    for element in elements:
        version = data.draw(VERSIONS)
        spelled += f" {version}" * bool(version) + data.draw(SEPARATORS) + element
    wanted = set(elements)
    found = normalise(data.draw(st.sampled_from([spelled, spelled.lower(), f"{spelled} 4.0"])))
    assert found is None or wanted <= set(found.split("-")[1:])


RUNS = (" ", "a", "a ", "cc-by-", "Creative Commons ", "shown ", "with my ", "(c) ", "(b) ")


@pytest.mark.parametrize("run", RUNS)
def test_a_long_run_of_anything_is_judged_in_no_time(run: str) -> None:
    start = time.perf_counter()
    codes_in(run * 20_000)
    third_party_words(run * 20_000)
    assert time.perf_counter() - start < 5.0  # quadratic would be minutes


@given(st.text())
def test_any_text_names_known_codes_only(text: str) -> None:
    assert codes_in(f"CC BY {text}") <= set(CODES)


# One article


def test_sources_that_agree_settle_it() -> None:
    verdict = decide([says("http://creativecommons.org/licenses/by/3.0/", "license-href"), says("CC BY 4.0")])
    assert (verdict.code, verdict.detail) == ("CC BY", "metadata: CC BY; license-href: CC BY")


def test_sources_that_say_nothing_are_passed_over() -> None:
    assert decide([says("see the publisher's site", "license-text"), says("CC BY-NC")]).code == "CC BY-NC"


def test_sources_that_disagree_settle_nothing() -> None:
    verdict = decide([says("CC BY"), says("CC BY-NC", "license-text")])
    assert (verdict.code, verdict.reason) == (None, licence.SOURCES_DISAGREE)
    assert verdict.detail == "metadata: CC BY ('CC BY'); license-text: CC BY-NC ('CC BY-NC')"


def test_pmc_finding_no_licence_disagrees_with_an_article_that_states_one() -> None:
    assert outcome(figure(says("NO-CC CODE"), says("CC BY", "license-text"))) == licence.SOURCES_DISAGREE


def test_a_waiver_for_the_data_does_not_disagree_with_the_licence_of_the_text() -> None:
    text = (
        "Distributed under the Creative Commons Attribution 4.0 International License. "
        "The Creative Commons Public Domain Dedication waiver "
        "(http://creativecommons.org/publicdomain/zero/1.0/) applies to the data."
    )
    link = says("http://creativecommons.org/publicdomain/zero/1.0/", "license-link")
    assert decide([link, says(text, "license-text")]).code == "CC BY"


def test_cc0_in_the_metadata_disagrees_with_cc_by() -> None:
    assert None is decide([says("CC0"), says("CC BY", "license-text")]).code


# The gate


@pytest.mark.parametrize("code", CODES)
def test_a_code_passes_only_where_it_is_allowed_itself(code: str) -> None:
    assert [code] == [outcome(figure(says(code)), LicenceOptions(allow=(code,)))]
    others = tuple(other for other in CODES if other != code)
    assert outcome(figure(says(code)), LicenceOptions(allow=others)) == licence.NOT_ALLOWED


def test_cc_by_and_cc_by_nc_pass_by_default() -> None:
    assert {"CC BY", "CC BY-NC"} == {code for code in CODES if code == outcome(figure(says(code)))}


def test_a_figure_without_licence_is_dropped() -> None:
    _, drops = select([figure(says("open-access", "license-text"))], DEFAULT)
    detail = "license-text: open-access"
    assert [Drop(stage="licence", key="PMC7/a.jpg", reason=licence.NO_LICENCE, detail=detail)] == drops


@pytest.mark.parametrize(
    "caption",
    [
        "CT scan. Reproduced with permission.",
        "CT scan. Reprinted with kind permission from Example Press.",
        "CT scan, adapted, with the permission of the publisher.",
        "CT scan (adapted from Example et al.).",
        "CT scan. Reproduced from Example et al. [3], with permission.",
        "With permission from Example Press.",
        "CT scan. Used by permission.",
        "CT scan © 2010 Example Press",
        "CT scan. (c) 2010 Example Press",
        "CT scan. Copyright 2010 by Example Press.",
        "CT scan. All rights reserved.",
        "CT scan, courtesy of E. Muster.",
        "CT scan. Image credit: E. Muster.",
        "CT scan. Image courtesy Dr E. Muster.",
        "CT scan. Courtesy: Pr E. Muster, Paris, France.",
        "CT scan. Copyright Eva Muster.",
        "CT scan. Source: From , with permission.",
        "CT scan. Source: E. Muster",
        "CT scan. Source: [3].",
        "CT scan, image from Radiopaedia.",
        "CT scan taken from Muster et al. (2021); permission obtained.",
        "CT scan (from Muster, E. 2006, A book. Example Press).",
        "CT scan (adapted from 12).",
        "CT scan kindly provided by E. Muster.",
        "CT scan. Photo by Eva Muster.",
        "CT scan (Eva Muster, MD).",
        "CT scan. From Wikipedia, http://example.org.",
        "CT scan. Muster-Roe et al. (2004) 46.",
        "CT scan. Images were supplied by the University of Example.",
        "CT scan from the MIAS database.",
        "Radiograph from the NIH ChestX-ray14 data set.",
        "Radiograph acquired from Open-i.",
        "CT from Muster et al. [14].",
        "Drawing: Eva Muster.",
        "CT scan, reused under CC BY 4.0.",
        "CT scan. Reproduced courtesy of the authors of Muster et al.",
    ],
)
def test_captions_that_credit_somebody_else_drop_the_figure(caption: str) -> None:
    assert outcome(figure(says("CC BY"), caption=caption)) == licence.THIRD_PARTY


@pytest.mark.parametrize(
    "caption",
    [
        "Images reproduced the earlier finding; the reader had permission.",
        "Photograph used with permission of the patient.",
        "Photograph shown with written permission from her parents.",
        "Tissue taken from the liver, with a modified technique.",
        "Phases (a), (b) and (c) of the scan.",
        "(a) CT, (b) MR, (c) PET 2015.",
        "Coronal image, permissioned access.",
        "Source: own work.",
        "CT scan. Courtesy of the authors.",
        "CT scan from the authors' own collection.",
        "Images obtained from 12 patients.",
        "Image taken from the left side in May 2012.",
        "Scan from January 2010.",
        "Bleeding source: left gastric artery.",
        "Source images of the angiogram.",
        "Angle measured according to Muster et al. (2010).",
        "Reformat adapted from the axial CT.",
        "Blood supply provided by the left renal artery.",
        "Seen after 3, 6 and 12 months (see Materials and Methods).",
        "Lengths as measured using ViewerX©: axial length.",
    ],
)
def test_captions_that_only_sound_like_it_pass(caption: str) -> None:
    assert outcome(figure(says("CC BY"), caption=caption)) == "CC BY"


@pytest.mark.parametrize("line", ["Own work", "Source: the authors.", "Fuente: elaboración propia"])
def test_an_attribution_that_names_the_authors_alone_passes(line: str) -> None:
    assert outcome(figure(says("CC BY"), attribution=line, caption=f"CT scan. {line}")) == "CC BY"


@pytest.mark.parametrize("field", ["attribution", "permissions"])
def test_an_attribution_or_permissions_of_its_own_drop_the_figure(field: str) -> None:
    _, drops = select([figure(says("CC BY"), **{field: "Example Press"})], DEFAULT)
    assert [drop.reason for drop in drops] == [licence.THIRD_PARTY]
    assert "Example Press" in drops[0].detail


def test_third_party_content_can_be_kept() -> None:
    options = LicenceOptions(third_party="keep")
    assert outcome(figure(says("CC BY"), caption="Courtesy of E. Muster."), options) == "CC BY"


def own(text: str) -> dict[str, Any]:
    return {"own_licences": (says(text, "license-text"),), "permissions": f"© E. Muster. {text}"}


@pytest.mark.parametrize(("articles", "figures"), [("CC BY-NC-ND", "CC BY 3.0"), ("CC BY", "CC BY-SA 3.0")])
def test_a_licence_of_its_own_must_not_contradict_the_articles(articles: str, figures: str) -> None:
    _, drops = select([figure(says(articles), **own(figures))], DEFAULT)
    assert [drop.reason for drop in drops] == [licence.SOURCES_DISAGREE]
    assert f"({figures!r})" in drops[0].detail
    assert f"({articles!r})" in drops[0].detail


def test_a_licence_of_its_own_counts_where_nothing_is_said_of_the_article() -> None:
    assert outcome(figure(**own("CC BY 3.0"))) == "CC BY"


def test_a_licence_of_its_own_does_not_cover_what_is_reproduced_with_permission() -> None:
    one = figure(says("CC BY"), caption="Reproduced with permission.", **own("CC BY 3.0"))
    assert outcome(one) == licence.THIRD_PARTY
    one = figure(says("CC BY"), **own("CC BY 3.0. Reproduced with permission from Example Press."))
    assert outcome(one) == licence.THIRD_PARTY
    one = figure(
        says("CC BY"), **own("CC BY 3.0, which permits any use without permission from the authors.")
    )
    assert outcome(one) == "CC BY"


def test_a_figure_whose_own_licences_disagree_is_dropped_even_where_third_parties_pass() -> None:
    one = figure(
        says("CC BY"), own_licences=(says("CC BY", "license-href"), says("CC BY-ND", "license-text"))
    )
    assert outcome(one, LicenceOptions(third_party="keep")) == licence.SOURCES_DISAGREE


@given(st.lists(st.builds(figure, st.builds(says, st.sampled_from([*CODES, "", "?"])))))
def test_every_figure_is_kept_or_dropped(figures: list[Figure]) -> None:
    kept, drops = select(figures, DEFAULT)
    assert len(figures) == len(kept) + len(drops)


@pytest.mark.slow
def test_the_gate_keeps_what_was_counted_among_the_figures_of_roco(shared: Path) -> None:
    with (shared / "data" / "roco" / "figures.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figures = [
        made_figure(row["pmcid"], row["graphic"], article_licences=(says(row["licence"]),)) for row in rows
    ]
    kept, drops = select(figures, DEFAULT)
    assert (len(figures), len(kept)) == (22_477, 12_974)
    assert Counter(each.licence.code for each in kept) == {"CC BY": 9_627, "CC BY-NC": 3_347}
    assert Counter(drop.reason for drop in drops) == {licence.NOT_ALLOWED: 9_503}
