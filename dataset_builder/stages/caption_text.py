# ruff: noqa: RUF001  the Greek letters and signs are meant
r"""Free the text of a caption from what is no text: markup, LaTeX, links, control characters.

What becomes of each is our choice, except for links, which ROCOv2 removed too:

- Tags of HTML and JATS go, their content stays; entities become their character.
- A LaTeX document (`\documentclass … \end{document}`) goes, because the formula stands beside it as text.
- Of other LaTeX the commands with a plain character become it (`\alpha`, `\times`), the others go, and their
  arguments stay as text.
- Web and e-mail addresses go, and brackets left empty behind them.
- Control, format, private and unpaired characters go; every run of white space becomes one blank.
"""

from __future__ import annotations

import html
import re
import unicodedata

_TAG_NAMES = (
    "a abbr article-title b big bold br caption center code disp-formula div em email ext-link fig font "
    "graphic h1 h2 h3 h4 h5 h6 hr i img inline-formula inline-graphic italic label li list list-item "
    "monospace named-content ol overline p roman sc sec small span strike strong styled-content sub sup "
    "table tbody td tex-math th title tr tt u ul underline uri xref"
)
_ATTRIBUTES = r"""(?:\s+[\w:-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+))*"""
_TAG = re.compile(
    rf"</?(?P<name>{'|'.join(_TAG_NAMES.split())}|\w+:[\w-]+){_ATTRIBUTES}\s*/?>|<!--.*?-->|<\?[\w-].*?\?>|<!\[CDATA\[|\]\]>",
    re.IGNORECASE | re.DOTALL,
)
_INLINE_NAMES = (
    "a abbr b big bold em email ext-link font i italic monospace roman sc small span strong styled-content "
    "sub sup tt u underline uri xref"
)
_INLINE_TAGS = frozenset(_INLINE_NAMES.split())

_DOCUMENT = re.compile(r"\\documentclass.*?\\end\{document\}", re.DOTALL)
_COMMAND = re.compile(r"\\(?:([A-Za-z]+)\*?|([%&$#_{}]))")
_MATHS_MARK = re.compile(r"(?<!\\)\$\$?|\\[()\[\]]")
_MATHS_SPACE = re.compile(r"\\[,;:! ]|~")
_SCRIPT_MARK = re.compile(r"[\^_](?=\{)|\\\\")
_CHARACTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "upmu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ",
    "Psi": "Ψ", "Omega": "Ω", "times": "×", "pm": "±", "mp": "∓", "cdot": "·", "leq": "≤", "le": "≤",
    "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠", "approx": "≈", "sim": "∼", "infty": "∞", "circ": "°",
    "degree": "°", "rightarrow": "→", "to": "→", "leftarrow": "←", "uparrow": "↑", "downarrow": "↓",
    "star": "⋆", "ast": "∗", "prime": "′", "partial": "∂", "sum": "∑", "sqrt": "√", "percent": "%",
}  # fmt: skip

_WEB = re.compile(
    r"(?:\bdoi:?\s*)?\b(?:https?|ftp)\s?:\s?//\S+|\bwww\.[^\s<>]+|\b(?:dx\.)?doi\.org/\S+", re.IGNORECASE
)
_MAIL = re.compile(r"(?:mailto:)?[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_AFTER_ADDRESS = ".,;:!?)]}>\"'"
_EMPTIED = re.compile(r"\(\s*[,;:]?\s*\)|\[\s*[,;:]?\s*\]|<\s*>")
_LEFT_BEHIND = re.compile(r"\s+(?=[,.;:)\]](?:[\s,.;]|\Z))|,\s*(?=,)")
_SPACED = frozenset({"Cc", "Zl", "Zp"})  # stand for a blank
_REMOVED = frozenset({"Cf", "Co", "Cs", "Cn"})


def clean(caption: str, *, without_links: bool = True) -> str:
    """Return a caption as plain text on one line; what is plain already comes back as it is."""
    text = html.unescape(html.unescape(caption))  # "&amp;nbsp;" was escaped twice
    text = _without_latex(_TAG.sub(_gap, text))
    text = "".join(_character(character) for character in unicodedata.normalize("NFC", text))
    if without_links:
        text = _without_links(text)
    return " ".join(text.split())


def _gap(tag: re.Match[str]) -> str:
    """Return what stands in the place of a tag: a blank where the tag parted words."""
    return "" if tag["name"] and tag["name"].lower() in _INLINE_TAGS else " "


def _without_latex(text: str) -> str:
    if "\\" not in text:
        return text
    text = _SCRIPT_MARK.sub("", _DOCUMENT.sub("", text))
    text = _MATHS_SPACE.sub(" ", _MATHS_MARK.sub("", text))
    plain = _COMMAND.sub(lambda match: match[2] or _CHARACTERS.get(match[1], ""), text)
    return plain.replace("{", "").replace("}", "") if plain != text else text


def _without_links(text: str) -> str:
    freed = _MAIL.sub("", _WEB.sub(_after_address, text))
    return text if freed == text else _LEFT_BEHIND.sub("", _EMPTIED.sub("", freed))


def _after_address(address: re.Match[str]) -> str:
    """Return the punctuation behind an address, which belongs to the sentence."""
    text = address[0]
    end = len(text)
    while end and text[end - 1] in _AFTER_ADDRESS:
        if text[end - 1] == ")" and text.count("(", 0, end) >= text.count(")", 0, end):
            break  # it closes a bracket of the address
        end -= 1
    return text[end:]


def _character(character: str) -> str:
    if " " <= character <= "~":
        return character
    category = unicodedata.category(character)
    if category in _REMOVED:
        return ""
    return " " if category in _SPACED else character
