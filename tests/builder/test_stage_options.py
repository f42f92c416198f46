from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataset_builder.stages import TABLES
from rocov2_eval.errors import UsageFault
from rocov2_eval.shelf.options import read_options


@pytest.mark.parametrize(
    ("table", "values", "message"),
    [
        ("licence", {"allow": ["CC-BY"]}, r"allow\[0\]: 'CC-BY', expected 'CC BY' or 'CC BY-NC' or "),
        ("licence", {"allow": []}, r"allow: \[\], expected a list of length >= 1"),
        ("licence", {"third_party": "maybe"}, "third_party: 'maybe', expected 'drop' or 'keep'"),
        ("captions", {"min_words": 0}, "min_words: 0, expected a whole number >= 1"),
        ("captions", {"min_words": 5, "max_words": 4}, "max_words: 4, expected at least min_words, 5"),
        ("captions", {"min_english": 1.5}, r"min_english: 1.5, expected a number <= 1"),
        ("captions", {"non_latin": -0.1}, "non_latin: -0.1, expected a number >= 0"),
        ("captions", {"languages": ["en"]}, "languages: en, expected 'en' and at least one other"),
        ("captions", {"languages": ["de", "fr"]}, "languages: de, fr, expected 'en'"),
        ("images", {"min_side": 0}, "min_side: 0, expected a whole number >= 1"),
        ("compound", {"method": "guess"}, "method: 'guess', expected 'priors' or 'model' or 'both' or 'off'"),
        (
            "compound",
            {"method": "priors", "model": "a.onnx"},
            "model: named, but method is 'priors', expected 'model' or 'both'",
        ),
        ("compound", {"action": "tear"}, "action: 'tear', expected 'drop' or 'split'"),
        ("compound", {"threshold": 1.2}, r"threshold: 1.2, expected a number"),
        ("compound", {"threads": 0}, "threads: 0, expected a whole number >= 1"),
        ("radiology", {"filter": "on"}, "filter: 'on', expected 'model' or 'off'"),
        ("radiology", {"filter": "off", "model": "a.onnx"}, "model: named, but filter is 'off'"),
        ("duplicates", {"distance": 13}, "distance: 13, expected a whole number <= 12"),
        ("split", {"shares": {}}, "at least one split"),
        ("split", {"shares": {"train": "rest", "test": "rest"}}, "only one split can take the rest"),
        ("split", {"shares": {"train": -1}}, "shares.*-1.*expected a whole number >= 0"),
        ("split", {"shares": {"train": 1.5}}, "shares.*1.5.*expected a number <= 1"),
        ("split", {"shares": {"train": float("nan")}}, "nan, expected a finite number"),
        ("source", {"list": "a\0"}, "holds a NUL"),
        ("split", {"shares": {"train": True}}, "shares.*True.*expected"),
        ("split", {"shares": {"train": "most"}}, "shares.*'most'.*expected 'rest'"),
        ("split", {"shares": {"dev": 0.1}}, "'dev' is no split, expected train, valid, test"),
        ("split", {"seed": -1}, "seed: -1, expected a whole number >= 0"),
        ("package", {"prefix": "COVID"}, "contains the letters ID"),
        ("package", {"prefix": "a/b"}, "prefix: 'a/b', expected text matching"),
        ("package", {"name": ""}, "name: ''"),
        ("package", {"name": "a\n"}, r"name: 'a"),
        ("package", {"title": " "}, "title: ' '"),
        ("package", {"title": "A\n## B"}, "one line without control characters"),
        ("package", {"url": "javascript:alert()"}, "url: 'javascript"),
        ("package", {"published": "today"}, "published: 'today'"),
        ("package", {"held_out": "train"}, "held_out: 'train', expected 'test' or ''"),
        ("package", {"images": "tar"}, "images: 'tar'"),
        ("package", {"credits": "never"}, "credits: 'never'"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(table: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageFault, match=rf"\[{table}\].*{message}"):
        read_options(TABLES[table], values, f"[{table}]", Path())
