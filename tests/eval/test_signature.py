from __future__ import annotations

from dataclasses import dataclass

import pytest

from rocov2_eval import __version__
from rocov2_eval.metric import Metric, Options
from rocov2_eval.metrics import METRICS
from rocov2_eval.signature import comparable, parse, signature


@dataclass(frozen=True, kw_only=True)
class SomeOptions(Options):
    flag: bool = True
    names: tuple[str, ...] = ()
    layer: int | None = None
    path: str = "a"


METRIC = Metric(
    name="some",
    outputs=("some",),
    meanings=("A score.",),
    needs="captions",
    columns=lambda inputs: inputs.captions,
    score=dict,
    options=SomeOptions,
    options_of=lambda _settings, _truth: SomeOptions(),
    revision=3,
    bounds=(0.0, 1.0),
    identity=None,
    source="none",
)


def test_a_signature_names_revision_every_option_in_order_and_the_version() -> None:
    expected = f"some|rev:3|flag:yes|names:none|layer:none|path:a|v:{__version__}"

    assert expected == signature(METRIC, SomeOptions())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (SomeOptions(flag=False), "flag:no"),
        (SomeOptions(names=("C1", "C2")), "names:C1+C2"),
        (SomeOptions(layer=40), "layer:40"),
        (SomeOptions(path="a|b"), "path:a/b"),
    ],
)
def test_a_value_is_spelt_so_that_the_signature_stays_one(options: SomeOptions, expected: str) -> None:
    assert expected in signature(METRIC, options).split("|")


@pytest.mark.parametrize("name", METRICS)
def test_a_signature_parses_back_to_its_parts(name: str) -> None:
    metric = METRICS[name]
    expected = name, str(metric.revision), __version__

    parts = parse(signature(metric, metric.options()))

    assert expected == (parts["metric"], parts["rev"], parts["v"])


def test_a_value_may_hold_colons() -> None:
    expected = "C:\\models"

    assert expected == parse(signature(METRIC, SomeOptions(path="C:\\models")))["path"]


@pytest.mark.parametrize("text", ["", "|rev:1", "rouge|rev", "rouge|rev:1|stem"])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a signature"):
        parse(text)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("rouge|rev:1|stem:no|v:9.9", True),
        ("rouge|rev:2|stem:no|v:0.1", False),
        ("rouge|rev:1|stem:yes|v:0.1", False),
        ("bleu|rev:1|stem:no|v:0.1", False),
        ("rouge|rev:1|stem:no|norm:none|v:0.1", False),
    ],
)
def test_scores_compare_if_their_signatures_differ_in_the_version_alone(
    second: str,
    expected: bool,  # noqa: FBT001
) -> None:
    assert expected is comparable("rouge|rev:1|stem:no|v:0.1", second)
