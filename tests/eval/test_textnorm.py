from __future__ import annotations

import pytest

from rocov2_eval.textnorm import NORMALISERS, clef2023, normalise


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Axial CT", "axial ct"),
        ("x-ray", "xray"),
        ("1.5 cm", "numbernumber cm"),
        ("T2-weighted", "tnumberweighted"),
        ("2023", "number"),
        ("١٢ mm", "number mm"),
        ("½ dose", "½ dose"),
        ("a \u2013 b “c” …", "a \u2013 b “c” …"),
        ("(arrow), [*]!", "arrow "),
        ("#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\"", ""),
        ("ΑΣ", "ας"),
        ("  two  blanks\n", "  two  blanks\n"),
        ("\u202f", "\u202f"),
        ("", ""),
    ],
)
def test_clef2023_lowers_then_numbers_then_drops_ascii_punctuation(caption: str, expected: str) -> None:
    assert expected == clef2023(caption)


def test_none_changes_nothing() -> None:
    captions = ["X-ray 1.5", ""]

    assert captions == normalise(captions, "none")


def test_captions_keep_their_order() -> None:
    expected = ["b", "a"]

    assert expected == normalise(["B!", "A!"], "clef2023")


@pytest.mark.parametrize("name", NORMALISERS)
def test_normalising_twice_is_normalising_once(name: str) -> None:
    once = normalise(["Axial CT, 1.5 T (arrow) ΑΣ İ"], name)

    assert once == normalise(once, name)
