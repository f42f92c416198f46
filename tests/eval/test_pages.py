from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rocov2_eval.findings import finding
from rocov2_eval.metrics import METRICS
from rocov2_eval.metrics.derived import DERIVED
from rocov2_eval.pages import findings_page, index_page, run_page, team_page
from rocov2_eval.pages.charts import cut
from rocov2_eval.pages.disclosure import (
    advice,
    most_submissions,
    public_board,
    public_decimals,
    public_findings,
    public_report,
    public_result,
)
from rocov2_eval.pages.tables import meaning_of, title_of
from rocov2_eval.ranking import Board, Entry, Rejection, SetAside, rank
from rocov2_eval.records import Interval, MetricResult
from rocov2_eval.resampling import Bootstrap
from rocov2_eval.scoring import Report
from rocov2_eval.significance import PairOptions
from rocov2_eval.worst_images import WorstImage

HOSTILE = "'\"><script>window.hacked=1</script><img src=x onerror=hack()>\u202e\x07"
OPTIONS = PairOptions(trials=200, bootstrap=Bootstrap(resamples=50))
METADATA = {
    "method": f"Trees.\n{HOSTILE}",
    "external_data": [HOSTILE],
    "contact": "someone@example.org",
    "paper": "https://example.org/a?b=1&c=2",
    "code": "javascript:alert(1)",
}
CELLS = ["C0040405;C0000001"] * 4 + ["C0032743;C0000002"] + ["C1306645;C0000003"] * 30
WORST = WorstImage(
    image_id=HOSTILE, score=0.0123, candidate="C0000009;C0040405", reference="C0040405;C0000777"
)
Score = Callable[..., Report]


class Reader(HTMLParser):
    """Collects the elements of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def elements(page: str, *tags: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = Reader()
    reader.feed(page)
    return [item for item in reader.elements if not tags or item[0] in tags]


@pytest.fixture
def report(scored: Score, dataset: Callable[..., Path]) -> Report:
    """Return the scores of a run over 34 images, broken down by modality."""
    rows = [(f"image_{i:02}", cell) for i, cell in enumerate(CELLS)]
    folder = dataset("test_", concepts=rows, concepts_manual=rows)
    text = "".join(f"{i},{cell.split(';')[0]}\n" for i, cell in rows)
    return scored(text, folder, bootstrap=OPTIONS.bootstrap, by=("modality",))


@pytest.fixture
def board(report: Report) -> Board:
    """Return a ranking of two runs, one of them of a hostile team."""
    entries = [Entry(team=team, run="r", metadata=METADATA, report=report) for team in ("alpha", HOSTILE)]
    return rank(entries, OPTIONS)


@pytest.fixture(params=["index", "run", "findings"])
def page(request: pytest.FixtureRequest, board: Board, report: Report) -> str:
    """Return each kind of page, with hostile text wherever a team can put it."""
    found = (finding("R103", f"/srv/{HOSTILE}.csv", 3, HOSTILE),)
    if request.param == "index":
        return index_page(
            [board], [Rejection(team=HOSTILE, run=HOSTILE, findings=found)], title=HOSTILE, private=True
        )
    if request.param == "findings":
        return findings_page(HOSTILE, found, message=HOSTILE)
    return run_page(
        replace(report, findings=found, notes=(HOSTILE,)),
        title=HOSTILE,
        private=True,
        metadata=METADATA,
        worst=[WORST],
        site="../..",
    )


def test_what_a_team_writes_is_text(page: str) -> None:
    own = len(elements(page, "script"))
    assert own <= 1
    assert "<script>window.hacked" not in page
    assert elements(page, "img", "iframe", "object", "form", "base") == []
    assert [name for _, attributes in elements(page) for name in attributes if name.startswith("on")] == []
    assert not {"\u202e", "\x07"} & set(page)


def test_a_page_asks_for_nothing(page: str) -> None:
    sources = [
        value
        for tag, attributes in elements(page)
        for name, value in attributes.items()
        if name in {"src", "srcset", "data", "action", "poster"} or (name == "href" and tag != "a")
    ]
    assert sources == ["data:,"]
    assert not re.search(r"@import|url\(", page)


def test_the_policy_admits_our_own_script_and_style_alone(page: str) -> None:
    policy = next(
        a["content"] for _, a in elements(page, "meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        admitted = [rules[rule]] if rule in rules else []
        assert admitted == [f"'sha256-{text}'" for text in hashes]
    assert [attributes for _, attributes in elements(page) if "style" in attributes] == []


def test_links_of_teams_lead_to_web_pages_alone(report: Report) -> None:
    text = run_page(report, title="a", private=False, metadata=METADATA)
    links = [attributes for _, attributes in elements(text, "a") if attributes.get("rel")]
    assert [(link["href"], link["rel"]) for link in links] == [
        ("https://example.org/a?b=1&c=2", "noopener noreferrer nofollow")
    ]
    assert "javascript:" not in text


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "https://", "http://[", "https://a b", 7]
)
def test_anything_else_is_no_link(report: Report, address: object) -> None:
    text = run_page(report, title="a", private=False, metadata={"paper": address})
    assert [attributes for _, attributes in elements(text, "a") if attributes.get("rel")] == []


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/a.png",
        "//example.org/a.png",
        "javascript:alert(1)",
        "data:text/html,x",
        "/etc/a.png",
    ],
)
def test_a_picture_from_elsewhere_is_not_shown(report: Report, address: str) -> None:
    text = run_page(report, title="a", private=True, worst=[WORST], picture=lambda _: address)
    assert elements(text, "img") == []


@pytest.mark.parametrize("address", ["../../images/a.jpg", "data:image/png;base64,AAAA"])
def test_a_picture_beside_the_page_is_shown_to_organisers(report: Report, address: str) -> None:
    text = run_page(report, title="a", private=True, worst=[WORST], picture=lambda _: address)
    assert [address] == [attributes["src"] for _, attributes in elements(text, "img")]


def test_a_public_page_tells_nothing_of_the_truth(report: Report) -> None:
    truth = report.truth[0][0]
    found = (
        finding("R502", truth, None, "3 images have no concept"),
        finding("R303", "run.csv", 4, "both-are-empty"),
        finding("R106", truth, 2, "an-id-of-the-truth"),
        finding("R204", "/srv/organisers/run.csv", 5, "/srv/organisers/run.csv: 'x' is no CUI"),
    )
    told = replace(
        report, findings=found, not_computed={"concept_f1_manual": f"no manual.csv beside {truth}"}
    )
    values: dict[str, Any] = {
        "title": "a",
        "metadata": METADATA,
        "worst": [WORST],
        "picture": lambda _: "a.jpg",
    }
    secrets = [
        "someone@example.org", "0.0123", "C0000777", "both-are-empty", "an-id-of-the-truth", "R502", "R303",
        "a.jpg", "Most frequent false negatives", "histogram", "By modality",
        "Unscored",
    ]  # fmt: skip
    public = run_page(told, private=False, **values)
    private = run_page(told, private=True, **values)
    assert [secret for secret in secrets if secret in public] == []
    assert [secret for secret in secrets if secret not in private] == []
    assert "run.csv:5" in public
    assert [
        folder for folder in (str(Path(truth).parent), "/srv/organisers") if folder in public + private
    ] == []


def test_a_rejection_names_the_file_and_what_to_do(board: Board) -> None:
    found = (
        finding("R103", "/srv/a/run.csv", 3, "'x' appeared on line 2 already"),
        finding("R501", "t", None, "truth"),
    )
    text = index_page([board], [Rejection(team="delta", run="r9", findings=found)], title="a", private=False)
    for words in (
        "delta",
        "r9",
        "R103",
        "run.csv:3",
        "appeared on line 2 already",
        "Keep one row per image.",
    ):
        assert words in text
    assert "/srv/a" not in text
    assert "R501" not in text


def test_a_page_of_findings_leaves_the_truth_out_and_says_so() -> None:
    text = findings_page("a", [finding("R501", "truth.csv", 1, "secret")], message="not scored")
    assert "secret" not in text
    assert "Findings about the organisers\N{RIGHT SINGLE QUOTATION MARK} files are not shown here." in text
    assert "not scored" in text


def test_findings_beyond_a_bound_are_counted() -> None:
    text = findings_page("a", [finding("R103", "run.csv", i, f"fault-{i}.") for i in range(1, 2001)])
    assert "fault-20." in text
    assert "fault-21." not in text
    assert "and 1,980 more" in text


def test_public_findings_leave_out_the_rules_and_the_files_of_the_truth() -> None:
    found = [
        finding("R103", "run.csv", 1, "a"),
        finding("R303", "run.csv", 1, "b"),
        finding("R304", "run.csv", 2, "b"),
        finding("R502", "truth.csv", 1, "c"),
        finding("R106", "truth.csv", 1, "d"),
    ]
    assert found[:1] == public_findings(found, [("truth.csv", "0" * 64)])


@pytest.mark.parametrize(
    ("images", "width", "decimals"),
    [
        *((0, 1, 0), (20, 1, 0), (21, 1, 1), (200, 1, 1), (201, 1, 2), (6834, 1, 3), (20_000, 1, 3)),
        *((20_001, 1, 4), (10**7, 1, 4), (6834, 10, 2)),
    ],
)
def test_half_a_step_of_public_decimals_is_more_than_an_image_moves_the_mean(
    images: int, width: float, decimals: int
) -> None:
    assert public_decimals(images, width) == decimals
    if decimals:
        assert 10**-decimals / 2 > width / images


@pytest.mark.parametrize(("images", "submissions"), [(13, 5), (1000, 10), (6834, 68), (50_000, 100)])
def test_a_participant_has_one_submission_for_a_hundred_images(images: int, submissions: int) -> None:
    assert most_submissions(images) == submissions
    assert (f"{submissions} submissions" in advice(images)) == (images > 20)


def result_of(mean: float, n: int, low: float = 0.0, high: float = 0.0) -> MetricResult:
    ends = Interval(low=low, high=high)
    return MetricResult(mean=mean, interval=ends, n=n, unscored=0, signature="x")


def test_a_result_is_rounded_by_the_images_that_it_is_of_and_by_the_range_of_the_score() -> None:
    public = public_result("concept_f1", result_of(0.123456, 6834, 0.11111, 0.14444))
    assert (public.mean, public.interval) == (0.123, Interval(low=0.11, high=0.14))
    assert public_result("cider", result_of(0.123456, 6834)).mean == 0.12
    assert public_result("concept_f1_manual", result_of(0.123456, 20)).mean == 0.0
    assert public_result("bleu1_corpus", result_of(0.123456, 6834)).mean == 0.1
    assert public_result("concept_f1", result_of(-1e-9, 6834)).mean == 0.0


def test_the_interval_of_a_sparse_score_tells_nothing_of_its_one_image() -> None:
    """All images but one score 0: the upper end is three or four times the mean."""
    for n in (81, 801, 6834, 8001):
        public = public_result("concept_f1", result_of(1 / n, n, 0.0, 4 / n))
        assert public == public_result("concept_f1", result_of(0.0, n))


def test_too_few_images_for_an_interval_have_none() -> None:
    assert public_result("concept_f1", result_of(0.5, 8, 0.4, 0.6)).interval is None


def test_what_participants_get_of_a_report_holds_no_score_of_images_or_groups(report: Report) -> None:
    public = public_report(report)
    assert (public.samples, public.breakdowns, public.concept_errors, public.truth) == ({}, {}, None, ())
    assert public_report(public).metrics == public.metrics


def test_runs_of_equal_public_score_share_a_rank_and_stand_by_their_names(report: Report) -> None:
    def scoring(mean: float) -> Report:
        return replace(report, metrics={"concept_f1": replace(report.metrics["concept_f1"], mean=mean)})

    # 34 images: one decimal. Unrounded, t1 is last of the three and t0 first.
    means = {"t0": 0.5, "t1": 0.46, "t2": 0.54, "t3": 0.56}
    entries = [Entry(team=t, run="r", metadata={}, report=scoring(mean)) for t, mean in means.items()]
    whole = rank(entries, OPTIONS)
    public = public_board(whole)
    assert [(item.entry.team, item.rank) for item in public.standings] == [
        *(("t3", 1), ("t0", 2), ("t1", 2), ("t2", 2))
    ]
    assert [item.entry.team for item in whole.standings] == ["t3", "t2", "t0", "t1"]
    assert (public.tests, {item.letters for item in public.standings}) == (None, {""})


def test_the_best_run_of_a_team_is_the_first_by_public_score(report: Report) -> None:
    entries = [Entry(team="a", run=run, metadata={}, report=report) for run in ("2", "1")]
    assert [item.is_best_of_team for item in public_board(rank(entries, OPTIONS)).standings] == [True, False]


def test_a_truth_that_is_no_longer_in_use_is_told_to_everybody(board: Board, report: Report) -> None:
    values: dict[str, Any] = {"title": "a", "private": False}
    for page in (
        index_page([board], [], truth_retired=True, **values),
        run_page(report, truth_retired=True, metadata=METADATA, worst=[WORST], **values),
    ):
        assert "The truth is no longer in use." in page
        assert "y modality" in page
        assert "someone@example.org" not in page
        assert "Contains the truth." not in page
    assert ("C0000777" in page, page.count('class="bar"') > 0) == (True, True)


def test_too_few_trials_for_the_correction_are_said(report: Report) -> None:
    entries = [Entry(team=f"t{i}", run="r", metadata={}, report=report) for i in range(6)]
    few, enough = (rank(entries, replace(OPTIONS, trials=trials)) for trials in (299, 300))
    assert "300 are needed" in index_page([few], [], title="a", private=True)
    assert "are needed" not in index_page([enough], [], title="a", private=True)


def test_each_run_links_to_its_page(board: Board) -> None:
    text = index_page([board], [], title="a", private=False)
    links = [attributes["href"] or "" for _, attributes in elements(text, "a")]
    assert {"runs/alpha/r.html", "teams/alpha.html"} <= set(links)
    assert all(link.startswith(("#", "runs/", "teams/")) for link in links)


def test_a_single_run_has_no_pictures_of_comparisons(report: Report) -> None:
    board = rank([Entry(team="alpha", run="r", metadata={}, report=report)], OPTIONS)
    text = index_page([board], [], title="a", private=True)
    assert "How stable" not in text
    assert "Which run beats which" not in text


def test_a_public_board_has_no_pictures_of_comparisons(board: Board) -> None:
    public, private = (index_page([board], [], title="a", private=private) for private in (False, True))
    for words in ("How stable", "Which run beats which", "Group", "Rank interval", "by modality"):
        assert (words in public, words in private) == (False, True)


def test_a_site_without_runs_says_so() -> None:
    assert "No run has been scored." in index_page([], [], title="a", private=False)


def test_an_unofficial_score_says_so(report: Report) -> None:
    text = run_page(replace(report, notes=("--lenient in spite of 2 errors",)), title="a", private=False)
    assert "Not official." in text
    assert "--lenient in spite of 2 errors" in text


def test_concepts_of_a_worst_image_are_told_apart_by_more_than_colour(report: Report) -> None:
    text = run_page(report, title="a", private=True, worst=[WORST])
    kinds = re.findall(r'class="cui (\w+)"><span aria-hidden="true">(.)</span> <bdi>(\w+)</bdi>', text)
    assert kinds == [
        ("matched", "✓", "C0040405"),
        ("missed", "\N{MINUS SIGN}", "C0000777"),
        ("invented", "+", "C0000009"),
    ]


def test_a_concept_of_a_worst_image_has_its_canonical_name(report: Report) -> None:
    names = {"C0000777": f"Lung {HOSTILE}", "C0000009": ""}
    text = run_page(report, title="a", private=True, worst=[WORST], names=names)
    assert "<bdi>C0000777</bdi> <bdi>Lung &#39;&#34;&gt;&lt;script&gt;" in text
    assert "<bdi>C0000009</bdi></span>" in text
    assert "Lung" not in run_page(report, title="a", private=False, worst=[WORST], names=names)


def test_every_score_of_a_board_has_a_sentence(board: Board) -> None:
    text = index_page([board], [], title="a", private=False)
    for name in ("concept_f1", "concept_f1_manual"):
        assert meaning_of(name) in html.unescape(text)


@pytest.mark.parametrize("output", [*(name for row in METRICS.values() for name in row.outputs), *DERIVED])
def test_a_score_has_a_title_and_one_sentence_of_its_own(output: str) -> None:
    assert title_of(output) != output
    assert meaning_of(output).endswith(".")
    assert meaning_of(output).count(". ") == 0


class TestTeams:
    """Boards of teams with several runs."""

    @pytest.fixture
    def board(self, report: Report) -> Board:
        """Return a ranking of three teams, one of them hostile, and a baseline."""
        rows = [("alpha", "Alpha \u5317\u4eac", 0.9), ("alpha", "Alpha \u5317\u4eac", 0.1)]
        rows += [("beta", HOSTILE[:-2], 0.5), ("base", "Organisers", 0.7)]
        rows += [("rtl", "\u0641\u0631\u064a\u0642", 0.5)]
        entries = []
        for i, (team, name, mean) in enumerate(rows):
            metadata = {"display_name": name, "submitted_at": f"2026-05-0{5 - i}T10:00:00+00:00"} | METADATA
            metadata |= {"status": "baseline"} if team == "base" else {}
            shown = {"concept_f1": replace(report.metrics["concept_f1"], mean=mean)}
            scored = replace(report, metrics=shown)
            entries.append(Entry(team=team, run=f"run-{i}", metadata=metadata, report=scored))
        return rank(entries, OPTIONS)

    def test_the_first_table_has_the_best_run_of_each_team_with_ranks_among_teams(self, board: Board) -> None:
        text = index_page([board], [], title="a", private=True)
        tables = re.findall(r'<table class="sortable.*?</table>', text, re.DOTALL)
        ranks = [re.findall(r'<td class="num"[^>]*>([^<]+)</td>', table) for table in tables]
        assert [table.count("<tr data-names") for table in tables] == [4, 5]
        assert [found[0] for found in (ranks[0], ranks[1])] == ["1", "1"]
        assert "\N{EN DASH}" in ranks[0]
        assert '<tr data-names="base Organisers" class="unranked">' in tables[0]
        assert '<span class="status">baseline</span>' in tables[0]

    def test_a_team_has_its_runs_ranks_and_history_on_its_page(self, board: Board) -> None:
        text = team_page("alpha", [board], [], [], private=True)
        assert "<bdi>Alpha \u5317\u4eac</bdi>" in text
        assert text.count("<tr data-names") == 2
        assert "2026-05-05 10:00 UTC" in text
        assert '<path class="line chosen"' in text
        links = [attributes["href"] or "" for _, attributes in elements(text, "a")]
        assert {"../index.html", "../runs/alpha/run-0.html", "../runs/alpha/run-1.html"} <= set(links)
        assert "https://example.org/a?b=1&c=2" in links
        assert not [link for link in links if link.startswith("javascript")]

    def test_a_baseline_has_a_page_and_no_rank(self, board: Board) -> None:
        text = team_page("base", [board], [], [], private=True)
        assert "<dt>Rank among teams</dt><dd>none</dd>" in text

    def test_a_public_page_of_a_team_has_rounded_scores_alone(self, board: Board) -> None:
        precise = replace(board.standings[0], result=replace(board.standings[0].result, mean=0.87654))
        entry = replace(
            precise.entry, report=replace(precise.entry.report, metrics={"concept_f1": precise.result})
        )
        told = replace(board, standings=(replace(precise, entry=entry), *board.standings[1:]))
        public, private = (team_page("alpha", [told], [], [], private=private) for private in (False, True))
        assert ("0.8765" in private, "0.876" in public, "Group" in public) == (True, False, False)

    @pytest.mark.parametrize("team", ["alpha", "beta", "rtl"])
    def test_what_a_team_writes_is_text_on_every_page_of_a_team(self, board: Board, team: str) -> None:
        aside = SetAside(
            team=team, run=HOSTILE, status="disqualified", reason=HOSTILE, metadata={}, display_name=HOSTILE
        )
        rejection = Rejection(team=team, run=HOSTILE, findings=(finding("R103", HOSTILE, 3, HOSTILE),))
        for text in (
            team_page(team, [board], [rejection], [aside], private=True),
            index_page([board], [rejection], [aside], title=HOSTILE, private=True),
        ):
            assert "<script>window.hacked" not in text
            assert elements(text, "img", "iframe", "object", "form", "base") == []
            assert not {"\u202e", "\x07"} & set(text)

    def test_two_truths_have_the_change_of_each_rank(self, board: Board) -> None:
        public = replace(board, truth="public")
        turned = [replace(item.entry, report=item.entry.report) for item in board.standings]
        means = (0.1, 0.7, 0.6, 0.5, 0.9)
        for i, mean in enumerate(means):
            result = replace(turned[i].report.metrics["concept_f1"], mean=mean)
            turned[i] = replace(turned[i], report=replace(turned[i].report, metrics={"concept_f1": result}))
        hidden = replace(rank(turned, OPTIONS), truth="hidden")
        text = index_page([public, hidden], [], title="a", private=True)
        assert "Concept detection: ranks by two truths" in text
        assert '<span class="worse">▼ 1</span>' in text
        assert "Concept detection, hidden truth" in text


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("alpha / run-1", "alpha / run-1"),
        ("a" * 64 + " / run-12345", "a" * 17 + "\u2026 run-12345"),
        ("\u5317" * 64, "\u5317" * 8 + "\u2026" + "\u5317" * 5),
        ("W" * 64, "W" * 9 + "\u2026" + "W" * 5),
    ],
)
def test_a_label_is_cut_to_the_width_that_it_takes(label: str, expected: str) -> None:
    assert expected == cut(label)


def test_a_private_page_says_that_it_is(board: Board) -> None:
    assert "Contains the truth." in index_page([board], [], title="a", private=True)
    assert "Contains the truth." not in index_page([board], [], title="a", private=False)
