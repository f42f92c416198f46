"""What a statement claims about a licence: codes that it names, and words that fit some codes only.

A claim that contradicts the code which another statement names leaves the licence open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dataset_builder.licence_codes import any_of, codes_in, places_of_codes, plain, restrictions_in
from rocov2_eval.shelf.words import shorten

ALL_RIGHTS = "all rights reserved"
ANOTHER = "another licence"
_ELEMENTS = {"NC": "no commercial use", "ND": "no derivatives", "SA": "share alike"}
_UNLICENSED = frozenset({"NO-CC CODE", "TDM"})  # go with any words
_AROUND = 40  # characters on each side of the words that are quoted

# Says that the licence itself is the limit, or what holds for material outside it: true of every licence.
_HARMLESS = re.compile(
    r"""\bno\b[^.;]{0,60}\bpermitted\s+which\s+does\s+not\s+comply[^.;]{0,40}
    | \bno\s+permission\s+is\s+(?:required|needed)\b | \bpermission\s+is\s+not\s+(?:required|needed)\b
    | \buse\s+of\s+(?:the\s+|any\s+)?(?:\w+\s+)?(?:logo|emblem|name|trademark)s?\b[^.;]{0,40}
    | \byour\s+intended\s+use\s+is\s+not\s+permitted\s+by\s+statutory[^.;]{0,200}
    | \bbeyond\s+(?:the\s+scope\s+of\s+this|that\s+granted)[^.;]{0,100}""",
    re.IGNORECASE | re.VERBOSE,
)
_USE = r"(?:re-?)?(?:use|using|production|distribution|printing|publication|posting|copying|mix\w*)"
_USED = r"(?:re-?)?(?:used|produced|distributed|copied|published|printed|posted|transmitted|stored|sold)"
_LIMITS = {
    ALL_RIGHTS: (
        r"\ball\s+rights?\b(?:,[^.;,]{0,60},)?\s+(?:are\s+)?reserved",
        r"\brights\s+(?:are\s+)?reserved\s+(?:by|to)\b",
        r"\btodos\s+l?os\s+d[ei]re[ci]\w+\s+reservados | \btous\s+droits\s+r[ée]serv[ée]s",
        r"\balle\s+rechte\s+vorbehalten | \btutti\s+i\s+diritti\s+(?:sono\s+)?riservati",
        r"\b(?:nachdruck|vervielf\w+)\b[^.;]{0,60}\b(?:verboten|untersagt|nur\s+mit|nicht\s+gestattet)\b",
        r"\bprohibid[ao]\b[^.;]{0,40}\breproducci",
        r"\breprodu[czç]\w+\b[^.;]{0,40}\b(?:proibida|interdite|vietata)\b",
        rf"\bno\s+(?:part|portion)\s+of\b | \bno\s+{_USE}\b(?!\s+restrict)",
        rf"\b(?:may|must|can|should|shall)\s*not\s+be\s+(?:\w+,?\s+){{0,3}}?{_USED}\b(?![^.;]{{0,80}}\b(?:commerc|way|suggest))",
        r"""\b(?:may|must|can|should|shall|do)\s*not\s+(?:re-?)?(?:use|produce|distribute|copy|publish|post)\b
        (?![^.;]{0,80}\b(?:commerc|way|suggest))""",
        r"\b(?:not?|prohibited|forbidden|strictly)\b[^.;]{0,80}\bwithout\b[^.;]{0,40}\b(?:permission|consent|authori[sz]ation)",
        rf"\b{_USE}\b[^.;]{{0,30}}\b(?:(?:is|are)\s+)?(?:(?:strictly|expressly)\s+)?(?:prohibited|forbidden)\b",
        rf"\b{_USE}\b[^.;]{{0,30}}\b(?:is|are)\s+not\s+(?:permitted|allowed)\b",
        r"\bnot\s+for\s+(?:distribution|redistribution|reproduction|re-?use)\b",
        r"\bdistribution\b[^.;]{0,60}\bexpressly\s+forbidden\b",
        rf"\bpermission\b[^.;]{{0,40}}\b(?:required|obtained|requested)\s+(?:\w+\s+){{0,3}}?(?:for|to)\s+(?:any\s+)?{_USE}",
    ),
    ANOTHER: (
        r"\buser\s?licen[sc]e | \bexclusive\s+licen[sc]e\b | \bonlineopen\s+terms | \blicen[sc]e\s*agreement",
        r"\bverbatim\s+copying | \bauthor'?s?\s?choice\s+(?:terms|usage|licen[sc]e) | \biopenaccess",
        r"\bopen\s+(?:government|database|data\s+commons)\s+licen[sc]e | \bcrown\s+copyright | \bgnu\b",
        r"\bgfdl\b | \bmining\s+only\b",
        r"\bsampling\s+(?:plus|licen[sc]e) | \bdeveloping\s+nations | \bre-?use\s+licen[sc]e",
        r"\bfree\s+access\s+article,?\s+distributed\s+under\s+terms",
    ),
}
_PATTERNS = {claim: any_of(rows) for claim, rows in _LIMITS.items()}
_CC_URL = re.compile(r"creativecommons\.org/+(?:licen[sc]es?|publicdomain)/+[a-z]\S*", re.IGNORECASE)
_TERMS_URL = re.compile(
    r"https?://\S*(?:licen[sc]|terms|permission|copyright|open-?access|tdm|rights)\S*", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One thing that a text says about a licence.

    Attributes:
        says: A code of `licence_codes.CODES`, or a limit in words such as `ALL_RIGHTS`.
        words: The words of the text that say it, shortened.
        is_code: Whether it is a code.
    """

    says: str
    words: str
    is_code: bool

    def contradicts(self, code: str) -> bool:
        """Tell whether the claim and a code cannot both hold."""
        if self.is_code:
            return self.says != code
        if code in _UNLICENSED:
            return False
        element = next((element for element, limit in _ELEMENTS.items() if limit == self.says), None)
        return element is None or element not in code.split("-")


def claims_in(text: str, *, is_address: bool = False) -> tuple[Claim, ...]:
    """Return what a text says about a licence, codes first.

    Args:
        text: A code, an address or sentences.
        is_address: Whether the text stands where only the address of the licence may stand: one of terms that
            are not Creative Commons then names another licence.
    """
    words = plain(text)
    codes = places_of_codes(words)
    claims = [
        Claim(says=code, words=_around(match.string if match else words, match), is_code=True)
        for code, match in sorted(codes.items())
    ]
    restricted = {} if codes else restrictions_in(words)
    found = {_ELEMENTS[element]: match for element, match in restricted.items()}
    free = _HARMLESS.sub("", words)
    found |= {limit: match for limit, pattern in _PATTERNS.items() if (match := pattern.search(free))}
    strange = (match for match in _CC_URL.finditer(words) if not codes_in(match[0]))
    terms = _TERMS_URL.search(words) if is_address and not codes else None
    address = next(strange, terms)
    if address:
        found.setdefault(ANOTHER, address)
    return (
        *claims,
        *(Claim(says=says, words=_around(m.string, m), is_code=False) for says, m in found.items()),
    )


def _around(words: str, match: re.Match[str] | None) -> str:
    """Return the words of a match with what stands around them; without one, the beginning of the text."""
    if match is None:
        return shorten(words, 100)
    start = max(0, match.start() - _AROUND)
    cut = words[start : match.end() + _AROUND]
    return shorten(f"{'…' if start else ''}{cut}", 160)
