from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_builder.pmc import jats as reader
from dataset_builder.pmc.jats import Article, read_article
from dataset_builder.pmc.markup import MAX_DEPTH
from dataset_builder.records import Drop, LicenceStatement
from rocov2_eval.errors import RejectedInput

ReadArticle = Callable[..., Article]
WriteArticle = Callable[..., str]

PICTURE = '<graphic xlink:href="a.jpg"/>'
OTHER = '<graphic xlink:href="b.jpg"/>'


TIFF = '<graphic xlink:href="a.tif"/>'
CAPTIONED = '<graphic xlink:href="a.jpg"><caption><p>Chest film.</p></caption></graphic>'


def fig(inner: str, figure_id: str = "f1") -> str:
    return f'<fig id="{figure_id}">{inner}</fig>'


def alternatives(*graphics: str) -> str:
    return f"<alternatives>{''.join(graphics)}</alternatives>"


def captioned(caption: str) -> str:
    return fig(f"<caption>{caption}</caption>{PICTURE}")


# Where figures are


@pytest.mark.parametrize(
    "rest",
    [
        f"<back><app>{fig(PICTURE)}</app></back>",
        f"<floats-group>{fig(PICTURE)}</floats-group>",
        f"<back><boxed-text><p>{fig(PICTURE)}</p></boxed-text></back>",
    ],
)
def test_figures_outside_the_body_are_found(article: ReadArticle, rest: str) -> None:
    assert [figure.text.figure_id for figure in article(rest=rest).figures] == ["f1"]


@pytest.mark.parametrize("tag", ["sub-article", "response"])
def test_figures_of_sub_articles_are_dropped_with_the_reason(article: ReadArticle, tag: str) -> None:
    read = article(fig(PICTURE), rest=f"<{tag}><body>{fig(OTHER, 'f2')}</body></{tag}>")
    assert [figure.graphic.name for figure in read.figures] == ["a.jpg"]
    assert (Drop(stage="figures", key="/f2", reason=reader.IN_SUB_ARTICLE),) == read.drops


def test_pictures_outside_figures_are_no_figures(article: ReadArticle) -> None:
    assert article(f"<p>{PICTURE}</p><table-wrap>{PICTURE}</table-wrap>").figures == ()


@pytest.mark.parametrize(
    ("body", "caption"),
    [
        (f"<p>{CAPTIONED}</p>", "Chest film."),
        (f"<fig-group><caption><p>Films.</p></caption>{PICTURE}</fig-group>", "Films."),
        (
            f"<p>{alternatives(TIFF, CAPTIONED)}</p>",
            "Chest film.",
        ),
    ],
)
def test_a_bare_graphic_with_a_caption_is_a_figure(article: ReadArticle, body: str, caption: str) -> None:
    read = article(body)
    assert [(f.graphic.name, f.text.caption) for f in read.figures] == [("a.jpg", caption)]
    assert read.drops == ()


def test_a_graphic_with_a_caption_inside_a_table_or_figure_is_no_figure_of_its_own(
    article: ReadArticle,
) -> None:
    assert article(f"<table-wrap>{CAPTIONED}</table-wrap>").figures == ()
    assert len(article(fig(CAPTIONED)).figures) == 1


def test_a_legend_beside_the_caption_belongs_to_it(article: ReadArticle) -> None:
    read = article(fig(f"<caption><title>Chest film.</title></caption><p>Arrow: mass.</p>{PICTURE}"))
    assert read.figures[0].text.caption == "Chest film. Arrow: mass."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Drawn in analogy to {12}.", "Drawn."),
        ("Drawn in analogy to [{12}, {13}]. Next.", "Drawn. Next."),
        ("Mass (measured as in {3}).", "Mass (measured)."),
        ("Mass (see [{3}]) of the lung.", "Mass of the lung."),
        ("Measured according to {Roe et al., 2010}.", "Measured according to Roe et al., 2010."),
        ("Mass, as described previously by Roe et al. {[3]}.", "Mass, as described previously by Roe et al."),
        ("Mass (adapted from [{12}]).", "Mass (adapted from [12])."),
        ("Source: From {[3]}, with permission.", "Source: From [3], with permission."),
        ("Mass ({Roe, 2010}) of the lung.", "Mass of the lung."),
        ("Measured as recommended in reference {3}.", "Measured."),
        ("As per [{3}], the mass is benign.", "the mass is benign."),
        ("Values derived using {3}.", "Values derived."),
        ("Mass. Adapted from ref. {12}.", "Mass. Adapted from ref. 12."),
        ("Mass. Source: [{3}].", "Mass. Source: [3]."),
    ],
)
def test_no_sentence_ends_in_a_stump_where_a_citation_went(
    article: ReadArticle, text: str, expected: str
) -> None:
    marked = text.replace("{", '<xref ref-type="bibr">').replace("}", "</xref>")
    assert expected == article(captioned(f"<p>{marked}</p>")).figures[0].text.caption


def test_permissions_of_a_box_around_a_figure_are_its_own(article: ReadArticle) -> None:
    box = (
        f"<boxed-text>{fig(PICTURE)}<permissions><copyright-statement>© A</copyright-statement></permissions>"
    )
    read = article(f"{box}</boxed-text>").figures[0]
    assert (read.text.permissions, read.licence.copyright) == ("© A", "© A")


def test_a_copyright_line_that_repeats_the_articles_is_no_permission_of_its_own(article: ReadArticle) -> None:
    line = "<copyright-statement>© 2020 Roe</copyright-statement>"
    assert article(fig(PICTURE + line), meta=line).figures[0].text.permissions == ""


def test_an_article_without_body_says_so() -> None:
    assert not read_article(b"<article><front/></article>", "a.xml").has_body


# Which pictures a figure has


def test_each_graphic_is_a_record_with_its_index(article: ReadArticle) -> None:
    read = article(fig(f"{PICTURE}{OTHER}"))
    found = [(f.graphic.name, f.graphic.index, f.n_graphics) for f in read.figures]
    assert found == [("a.jpg", 1, 2), ("b.jpg", 2, 2)]


def test_the_link_is_found_behind_other_attributes_and_prefixes() -> None:
    graphic = '<graphic position="float" mimetype="image" x:title="t" x:href=" a b%20c.jpg "/>'
    text = f'<article xmlns:x="http://www.w3.org/1999/xlink"><fig>{graphic}</fig></article>'
    assert [f.graphic.name for f in read_article(text.encode(), "a.xml").figures] == ["a b%20c.jpg"]


@pytest.mark.parametrize(
    ("graphics", "best", "others"),
    [
        (
            alternatives(
                '<graphic xlink:href="a.tif"/>',
                '<graphic xlink:href="w.jpg" specific-use="web"/>',
                '<graphic xlink:href="t.jpg" content-type="scielo-267x140"/>',
            ),
            "w.jpg",
            ("a.tif", "t.jpg"),
        ),
        (
            alternatives('<graphic xlink:href="p.jpg"/>', '<graphic xlink:href="w.jpg" specific-use="web"/>'),
            "w.jpg",
            ("p.jpg",),
        ),
        (
            '<graphic xlink:href="a.jpg"/><graphic content-type="Thumbnail" xlink:href="z.gif"/>',
            "a.jpg",
            ("z.gif",),
        ),
        (
            '<graphic specific-use="thumb" xlink:href="z.gif"/><graphic xlink:href="a.jpg"/>',
            "a.jpg",
            ("z.gif",),
        ),
        ('<graphic xlink:href="a.tif"/><graphic xlink:href="a.png"/>', "a.png", ("a.tif",)),
        ('<graphic xlink:href="a.gif"/><graphic xlink:href="a.jpg"/>', "a.jpg", ("a.gif",)),
        (
            alternatives('<graphic xlink:href=""/>', PICTURE),
            "a.jpg",
            (),
        ),
        ('<graphic xlink:href="only.gif"/>', "only.gif", ()),
        ('<graphic xlink:href="pone.0046493.g001"/>', "pone.0046493.g001", ()),
    ],
    ids=[
        "print, web, preview",
        "web",
        "thumbnail last",
        "thumbnail first",
        "tif",
        "gif",
        "nameless",
        "bare gif",
        "no extension",
    ],
)
def test_one_picture_has_one_best_file(
    article: ReadArticle, graphics: str, best: str, others: tuple[str, ...]
) -> None:
    found = [(f.graphic.name, f.graphic.alternatives) for f in article(fig(graphics)).figures]
    assert [(best, others)] == found


def test_thumbnails_go_to_the_panel_that_they_show(article: ReadArticle) -> None:
    thumbs = "".join(f'<graphic content-type="thumb" xlink:href="{name}.gif"/>' for name in "ab")
    read = article(fig(f"{PICTURE}{OTHER}{thumbs}"))
    found = [(f.graphic.name, f.graphic.alternatives) for f in read.figures]
    assert found == [("a.jpg", ("a.gif",)), ("b.jpg", ("b.gif",))]


def test_names_that_differ_after_a_dot_are_two_pictures(article: ReadArticle) -> None:
    read = article(fig('<graphic xlink:href="j.0001.g1"/><graphic xlink:href="j.0001.g2"/>'))
    assert [figure.graphic.name for figure in read.figures] == ["j.0001.g1", "j.0001.g2"]


@pytest.mark.parametrize(
    ("inner", "reason", "detail"),
    [
        ("<caption><p>Text.</p></caption>", reader.NO_GRAPHIC, ""),
        ('<media xlink:href="a.mp4"/>', reader.NO_GRAPHIC, "media"),
        (f"<supplementary-material>{PICTURE}</supplementary-material>", reader.NO_GRAPHIC, ""),
        (f"<table-wrap>{PICTURE}</table-wrap>", reader.NO_GRAPHIC, "table-wrap"),
        (f"<disp-formula>{PICTURE}</disp-formula>", reader.NO_GRAPHIC, ""),
        (
            f"<permissions><license><license-p>{PICTURE}</license-p></license></permissions>",
            reader.NO_GRAPHIC,
            "",
        ),
        ('<inline-graphic xlink:href="a.jpg"/>', reader.NO_GRAPHIC, ""),
        ('<graphic xlink:href=""/>', reader.NO_NAME, ""),
        ("<graphic/>", reader.NO_NAME, ""),
        ('<graphic content-type="thumb" xlink:href="a.gif"/>', reader.ONLY_A_THUMBNAIL, "a.gif"),
    ],
)
def test_a_figure_that_shows_nothing_is_dropped_with_the_reason(
    article: ReadArticle, inner: str, reason: str, detail: str
) -> None:
    read = article(fig(inner), pmcid="PMC7")
    assert read.figures == ()
    assert (Drop(stage="figures", key="PMC7/f1", reason=reason, detail=detail),) == read.drops


def test_a_file_that_two_figures_show_counts_once(article: ReadArticle) -> None:
    read = article(fig(PICTURE) + fig(PICTURE, "f2"), pmcid="PMC7")
    assert [figure.text.figure_id for figure in read.figures] == ["f1"]
    assert (Drop(stage="figures", key="PMC7/a.jpg", reason=reader.SAME_FILE, detail="f2"),) == read.drops


def test_a_nested_figure_is_read_once_and_borrows_what_it_lacks(article: ReadArticle) -> None:
    inner = fig('<label>B</label><graphic xlink:href="b.jpg"/>', "f1b")
    read = article(fig(f"<label>Figure 1</label><caption><p>Outer.</p></caption>{PICTURE}{inner}"))
    found = [(f.graphic.name, f.text.label, f.text.caption, f.n_graphics) for f in read.figures]
    assert found == [("a.jpg", "Figure 1", "Outer.", 1), ("b.jpg", "B", "Outer. B", 1)]


# Labels and captions


FORMULA = (
    "<inline-formula><alternatives><tex-math>\\begin{d}$$p&lt;1$$\\end{d}</tex-math><mml:math><mml:msup>"
    "<mml:mn>10</mml:mn><mml:mn>6</mml:mn></mml:msup></mml:math></alternatives></inline-formula>"
)


def test_what_is_missing_is_empty() -> None:
    text = f'<article xmlns:xlink="http://www.w3.org/1999/xlink"><fig>{PICTURE}</fig></article>'
    figure = read_article(text.encode(), "a.xml").figures[0]
    assert (figure.text.figure_id, figure.text.label, figure.text.caption, figure.pmcid) == ("", "", "", "")


def test_a_figure_without_caption_never_takes_that_of_the_figure_before(article: ReadArticle) -> None:
    read = article(captioned("<p>First.</p>") + fig(OTHER, "f2"))
    assert [figure.text.caption for figure in read.figures] == ["First.", ""]


def test_the_caption_of_a_table_inside_is_not_the_figures(article: ReadArticle) -> None:
    inner = "<table-wrap><label>Table 1</label><caption><p>Numbers.</p></caption></table-wrap>"
    figure = article(fig(inner + PICTURE)).figures[0]
    assert (figure.text.label, figure.text.caption) == ("", "")


def test_the_caption_of_the_graphic_stands_in(article: ReadArticle) -> None:
    inner = '<graphic xlink:href="a.jpg"><caption><p>Chest film.</p></caption></graphic>'
    assert article(fig(inner)).figures[0].text.caption == "Chest film."


def test_the_caption_of_the_group_stands_in_with_the_label_of_the_panel(article: ReadArticle) -> None:
    panels = fig(f"<label>(A)</label>{PICTURE}") + fig(OTHER, "f2")
    group = f"<fig-group><label>Figure 2</label><caption><p>Two views.</p></caption>{panels}</fig-group>"
    found = [(figure.text.label, figure.text.caption) for figure in article(group).figures]
    assert found == [("(A)", "Two views. (A)"), ("Figure 2", "Two views.")]


def test_the_english_caption_of_several_is_taken(article: ReadArticle) -> None:
    captions = '<caption xml:lang="pt"><p>Tórax.</p></caption><caption xml:lang="en"><p>Chest.</p></caption>'
    assert article(fig(captions + PICTURE)).figures[0].text.caption == "Chest."


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("<title>Chest film.</title><p>Arrow.</p><p>End.</p>", "Chest film. Arrow. End."),
        ("<p>One<break/>two</p>", "One two"),
        ("<p>Signs:<list><list-item><label>1</label><p>air</p></list-item></list></p>", "Signs: 1 air"),
        ("<p>An <italic>in</italic>line <bold>word</bold>.</p>", "An inline word."),
        ("<p>10<sup>6</sup>cells, 10<sup>-3</sup>, 5 cm<sup>2</sup></p>", "10^6 cells, 10^-3, 5 cm2"),
        ("<p><sup>18</sup>F-FDG, H<sub>2</sub>O, SUV<sub>max</sub></p>", "18F-FDG, H2O, SUVmax"),
        ("<p>constraints<sup>6</sup>. Cloud<sup>a</sup>next</p>", "constraints 6. Cloud a next"),
        ("<p>Tumour <xref ref-type='bibr'>[3]</xref>. Next</p>", "Tumour. Next"),
        (
            "<p>Tumour [<xref ref-type='bibr'>3</xref>, <xref ref-type='bibr'>4</xref>] seen</p>",
            "Tumour seen",
        ),
        (
            "<p>Tumour<sup><xref ref-type='bibr'>3</xref>\u2013<xref ref-type='bibr'>5</xref></sup>.</p>",
            "Tumour.",
        ),
        ("<p>Size (see <xref ref-type='bibr'>3</xref>) of .5 mm</p>", "Size of .5 mm"),
        ("<p>See <xref ref-type='fig'>Fig. 2</xref>.</p>", "See Fig. 2."),
        ("<p>T2\u2011weighted, 5\u2009mm, cafe\u0301, a\u00adb\u200bc</p>", "T2-weighted, 5 mm, café, abc"),
        ("<p>A <!-- note --><?pi x?>B</p>", "A B"),
        ("<p>A<inline-graphic xlink:href='i.gif'><alt-text>alt</alt-text></inline-graphic> B</p>", "A B"),
        (f"<p>x {FORMULA}</p>", "x 10^6"),
        ("<p>x <tex-math>\\documentclass{a}\\begin{document}$$p_1$$\\end{document}</tex-math></p>", "x p_1"),
    ],
)
def test_captions_become_plain_text(article: ReadArticle, caption: str, expected: str) -> None:
    assert expected == article(captioned(caption)).figures[0].text.caption


def test_permissions_stay_out_of_the_caption_and_the_attribution_ends_it(article: ReadArticle) -> None:
    inner = (
        f"<caption><p>Chest film.</p></caption>{PICTURE}<attrib>Courtesy of a clinic.</attrib>"
        "<permissions><copyright-statement>© A publisher</copyright-statement>"
        '<license xlink:href="u"/></permissions>'
    )
    figure = article(fig(inner)).figures[0]
    assert figure.text.caption == "Chest film. Courtesy of a clinic."
    assert figure.text.attribution == "Courtesy of a clinic."
    assert figure.text.permissions == "© A publisher"
    assert [statement.text for statement in figure.licence.own] == ["u", "© A publisher"]


# The article


@pytest.mark.parametrize(
    ("ids", "pmcid"),
    [
        ('<article-id pub-id-type="pmcid">PMC123</article-id>', "PMC123"),
        ('<article-id pub-id-type="pmc">PMC0123</article-id>', "PMC123"),
        ('<article-id pub-id-type="pmcid-ver">PMC123.10</article-id>', "PMC123"),
        ('<article-id pub-id-type="pmcaid">999</article-id>', ""),
    ],
)
def test_the_pmcid_is_read_in_every_spelling(article: ReadArticle, ids: str, pmcid: str) -> None:
    assert article(fig(PICTURE), meta=ids).figures[0].pmcid == pmcid


def test_a_file_of_another_article_is_rejected(article: ReadArticle) -> None:
    with pytest.raises(RejectedInput, match=r"article\.xml: the XML is of PMC1, expected PMC2"):
        article(meta='<article-id pub-id-type="pmcid">PMC1</article-id>', pmcid="PMC2")


def test_the_front_matter_is_read(article: ReadArticle) -> None:
    meta = (
        '<article-id pub-id-type="doi">https://doi.org/10.5555/x.1</article-id>'
        "<title-group><article-title>A <italic>rare</italic> mass<xref ref-type='bibr'>1</xref>"
        "</article-title></title-group><contrib-group>"
        '<contrib contrib-type="author"><name><surname>Muster</surname><given-names>E.</given-names></name>'
        "</contrib>"
        "<contrib><collab>Mass Group<contrib-group><contrib/></contrib-group></collab></contrib>"
        '<contrib contrib-type="editor"><name><surname>Editor</surname></name></contrib></contrib-group>'
        "<pub-date><year>2021</year></pub-date><pub-date><year>2020</year></pub-date>"
    )
    facts = article(fig(PICTURE), meta=meta).figures[0].article
    assert (facts.doi, facts.title) == ("10.5555/x.1", "A rare mass")
    assert facts.authors == ("Muster, E.", "Mass Group")
    assert (facts.year, facts.article_type) == (2020, "case-report")


def test_licence_statements_come_strongest_first(article: ReadArticle) -> None:
    meta = (
        '<permissions><license license-type="open-access" xlink:href="href">'
        "<ali:license_ref>ref</ali:license_ref>"
        '<license-p>Text <ext-link xlink:href="link">here</ext-link></license-p></license></permissions>'
        "<custom-meta-group><custom-meta><meta-name>pmc-license-ref</meta-name><meta-value>CC BY</meta-value>"
        "</custom-meta><custom-meta><meta-name>pmc-prop</meta-name><meta-value>no</meta-value></custom-meta>"
        "</custom-meta-group>"
    )
    read = article(fig(PICTURE), meta=meta, outside=[LicenceStatement(source="metadata", text="CC BY-NC")])
    expected = [
        ("metadata", "CC BY-NC"),
        ("custom-meta", "CC BY"),
        ("license_ref", "ref"),
        ("license-href", "href"),
        ("license-link", "link"),
        ("license-text", "ref Text here"),
        ("license-type", "open-access"),
    ]
    assert expected == [(statement.source, statement.text) for statement in read.figures[0].licence.article]


# Wrappers, namespaces, encodings


def test_a_default_namespace_changes_nothing(jats: WriteArticle) -> None:
    plain = jats(captioned("<p>Chest film.</p>"))
    wrapped = plain.replace("<article ", '<article xmlns="https://jats.nlm.nih.gov/ns/archiving/1.3/" ', 1)
    expected = read_article(plain.encode(), "a.xml")
    assert expected.figures
    assert expected == read_article(wrapped.encode(), "a.xml")


def test_a_byte_order_mark_and_latin_1_are_read(jats: WriteArticle) -> None:
    text = jats(captioned("<p>é</p>"))
    latin = f'<?xml version="1.0" encoding="ISO-8859-1"?>{text}'.encode("latin-1")
    for content in (latin, text.encode("utf-8-sig")):
        assert read_article(content, "a.xml").figures[0].text.caption == "é"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-7"])
def test_encodings_that_could_hide_a_declaration_are_rejected(encoding: str) -> None:
    content = f'<?xml version="1.0" encoding="{encoding}"?><article/>'
    body = content.encode(encoding if encoding != "utf-7" else "ascii")
    with pytest.raises(RejectedInput, match="expected UTF-8"):
        read_article(body, "a.xml")


# Hostile files


def entities(*declarations: str) -> str:
    return f"<!DOCTYPE article [{''.join(declarations)}]>"


def nested_entities(levels: int) -> str:
    values = ["x" * 100, *(f"&e{i};" * 10 for i in range(levels - 1))]
    return entities(*(f'<!ENTITY e{i} "{value}">' for i, value in enumerate(values)))


@pytest.mark.parametrize("where", ["<p>&e9;</p>", "<p id='&e9;'/>"], ids=["text", "attribute"])
def test_an_xml_bomb_is_rejected(article: ReadArticle, where: str) -> None:
    with pytest.raises(RejectedInput, match=r"^article\.xml"):
        article(where, prolog=nested_entities(10))


def test_an_external_entity_is_rejected_and_not_read(article: ReadArticle, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    prolog = entities(f'<!ENTITY xxe SYSTEM "{secret.as_uri()}">')
    with pytest.raises(
        RejectedInput, match="declares the entity 'xxe', expected an article without any"
    ) as caught:
        article(captioned("<p>&xxe;</p>"), prolog=prolog)
    assert "SECRET" not in str(caught.value)


def test_an_external_parameter_entity_is_rejected(article: ReadArticle, tmp_path: Path) -> None:
    subset = tmp_path / "subset.dtd"
    subset.write_text('<!ENTITY inner "SECRET">')
    prolog = entities(f'<!ENTITY % outer SYSTEM "{subset.as_uri()}">', "%outer;")
    with pytest.raises(RejectedInput, match="'outer'"):
        article(captioned("<p>text</p>"), prolog=prolog)


def test_the_doctype_is_not_loaded(article: ReadArticle, tmp_path: Path) -> None:
    dtd = tmp_path / "jats.dtd"
    dtd.write_text('<!ENTITY alpha "SECRET"><!ATTLIST fig id CDATA "SECRET">')
    prolog = f'<!DOCTYPE article PUBLIC "-//NLM//DTD JATS//EN" "{dtd.as_uri()}">'
    figure = article(f"<fig><caption><p>&alpha; film</p></caption>{PICTURE}</fig>", prolog=prolog).figures[0]
    assert (figure.text.caption, figure.text.figure_id) == ("&alpha; film", "")


def test_a_listing_that_shows_a_declaration_is_no_declaration(article: ReadArticle) -> None:
    assert len(article(f"<p><![CDATA[<!ENTITY a 'b'>]]></p>{fig(PICTURE)}").figures) == 1


def test_elements_nested_too_deep_are_rejected(article: ReadArticle) -> None:
    depth = MAX_DEPTH + 1
    with pytest.raises(RejectedInput, match=f"nested deeper than {MAX_DEPTH}"):
        article(captioned(f"<p>{'<bold>' * depth}x{'</bold>' * depth}</p>"))


def test_a_graphic_nested_deeper_than_python_can_call_is_found(article: ReadArticle) -> None:
    depth = sys.getrecursionlimit() + 100
    assert len(article(fig(f"{'<list>' * depth}{PICTURE}{'</list>' * depth}")).figures) == 1


@pytest.mark.parametrize("run", [" ", "a", ",", "(", "[ ", ". A", "Fig. 1 "])
def test_a_long_run_of_anything_is_read_in_no_time(article: ReadArticle, run: str) -> None:
    text = f"<p>{run * 100_000}<sup>1</sup><xref ref-type='bibr'>1</xref><xref ref-type='fig' rid='f1'/></p>"
    start = time.perf_counter()
    article(f"{text}{captioned(text)}")
    assert time.perf_counter() - start < 2.0  # quadratic would be minutes


def test_a_text_of_more_than_ten_megabytes_is_read(article: ReadArticle) -> None:
    assert len(article(f"<p>{'x' * 11_000_000}</p>{fig(PICTURE)}").figures) == 1


def test_a_file_beyond_the_limit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataset_builder.pmc.xml_input.MAX_BYTES", 10)
    with pytest.raises(RejectedInput, match=r"a\.xml: 12 bytes, expected an article of at most 10"):
        read_article(b"<article   />"[:9] + b"/>\n", "a.xml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.xml.*no well-formed XML"),
        (b"<article>\n<fig></article>", "a.xml:2: no well-formed XML"),
        (b"not xml", "a.xml:1: no well-formed XML"),
        (b"<article>\xff</article>", "no well-formed XML"),
        (b"<html/>", "a.xml: <html>, expected <article>"),
    ],
)
def test_what_is_no_article_is_rejected_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(RejectedInput, match=message):
        read_article(content, "a.xml")


TAGS = st.sampled_from(
    (
        *("fig", "label", "caption", "p", "title", "graphic", "alternatives", "fig-group", "sub-article"),
        *("attrib", "permissions", "license", "sup", "xref", "tex-math", "media", "name", "contrib"),
        *("collab", "front", "article-meta", "article-id", "custom-meta", "list"),
    )
)
NAMES = st.sampled_from(["id", "rid", "ref-type", "xlink:href", "content-type", "pub-id-type", "xml:lang"])
VALUES = st.sampled_from(["", "f1", "fig", "bibr", "a.jpg", "thumb", "pmc", "doi", "en", "\U0001f600"])
TEXTS = st.text(st.characters(exclude_characters="<&", exclude_categories=["Cc", "Cs"]), max_size=8)


def element(tag: str, attributes: dict[str, str], inner: list[str]) -> str:
    written = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(inner)}</{tag}>"


TREES = st.recursive(
    TEXTS | st.sampled_from(["<!-- c -->", "<?original-width 5?>", "&amp;", "&alpha;", "&#65536;"]),
    lambda inner: st.builds(
        element, TAGS, st.dictionaries(NAMES, VALUES, max_size=3), st.lists(inner, max_size=4)
    ),
    max_leaves=25,
)
ANY_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@ANY_FIXTURE
@given(body=TREES)
def test_any_tree_gives_records_whose_figures_add_up(article: ReadArticle, body: str) -> None:
    prolog = '<!DOCTYPE article SYSTEM "absent.dtd">'
    read = article(body, prolog=prolog)
    shown = {figure.number for figure in read.figures}
    assert body.count("<fig ") + body.count("<fig>") <= len(shown) + len(read.drops)
    assert len(read.figures) == len({figure.key for figure in read.figures})


@ANY_FIXTURE
@given(data=st.data())
def test_broken_files_are_read_or_rejected_and_nothing_else(jats: WriteArticle, data: st.DataObject) -> None:
    content = bytearray(jats(captioned("<p>Chest film.</p>"), prolog=entities()).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=6))
    message = ""
    try:
        read = read_article(bytes(content), "a.xml")
    except RejectedInput as error:
        message = str(error)
    assert message.startswith("a.xml") if message else read.has_body


# Real articles


@pytest.fixture
def real(shared: Path) -> list[tuple[dict[str, str], Article]]:
    """Return the real articles, each with what was counted in it."""
    folder = shared / "data" / "jats"
    with (folder / "articles.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row, read_article((folder / row["file"]).read_bytes(), row["file"])) for row in rows]


def test_real_articles_have_the_figures_that_were_counted(real: list[tuple[dict[str, str], Article]]) -> None:
    reasons = {drop.reason for _, read in real for drop in read.drops}
    found = [len({figure.number for figure in read.figures}) + len(read.drops) for _, read in real]
    assert {reader.IN_SUB_ARTICLE} == reasons
    assert (len(found), sum(found)) == (107, 402)
    assert [int(row["figures"]) for row, _ in real] == found


def test_real_articles_have_the_graphics_that_were_counted(
    real: list[tuple[dict[str, str], Article]],
) -> None:
    # In SciELO's articles the figures of translations have two files each, and one article leaves a file of
    # each of its four figures without a name: alternatives that nobody could fetch.
    nameless = {"scielo/article-abstract-en-sub-articles-pt-es.xml": 4}
    found = [
        sum(1 + len(figure.graphic.alternatives) for figure in read.figures)
        + 2 * len(read.drops)
        + nameless.get(row["file"], 0)
        for row, read in real
    ]
    assert [int(row["graphics"]) for row, _ in real] == found


def test_real_articles_have_their_doi_and_a_caption_for_every_figure(
    real: list[tuple[dict[str, str], Article]],
) -> None:
    captions = [figure.text.caption for _, read in real for figure in read.figures]
    assert all(row["doi"] == figure.article.doi for row, read in real for figure in read.figures)
    assert sum(bool(caption) for caption in captions) == 393
    assert [text for text in captions if any(c in text for c in "\x00\u2009\u2011")] == []
