r"""Third-party credits: words of a caption by which a picture is somebody else's work.

    credit  = [work] given [by | from | of] giver [permission]
    work    = image | figure | photograph | radiograph | …
    given   = courtesy | reproduced | adapted | provided | source: | © | …
    giver   = a person | an institution | a citation | an address | a collection

Not every part must be there: `courtesy`, `©` and `reprinted` credit whoever follows. But `taken from` and
`provided by` do so only with a person or a publication: pictures are taken from patients as well. Each row of
`_RULES` is one such sentence. What names the authors themselves, and the permission of patients, is taken out
before (`_OWN`).
"""

from __future__ import annotations

import re

from dataset_builder.licence_codes import any_of
from rocov2_eval.shelf.words import shorten

_WIDTH = 80  # characters of a credit that are quoted

_WORK = r"""(?:images?|figures?|fig\.?|photos?|photographs?|pictures?|illustrations?|drawings?|diagrams?
    |scans?|radiographs?|x-?rays?|films?|sonograms?|angiograms?|videos?|slides?|cases?|panels?|maps?|schemes?
    |art(?:work)?)"""
_TITLE = r"(?-i:Drs?\b|Prof(?:essor)?s?\b|Pr\b|Mrs?\b|Ms\b|Sir\b|Assoc)"
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_NAME = rf"""(?-i:(?!{_MONTH}\b)(?:[A-Z]\.[\s-]?){{0,3}}
    (?:(?:van|von|de|da|di|del|den|der|la|le|Mc|Mac|O')\s?){{0,3}}[A-Z][\w'-]{{1,30}})"""
_WORD = r"[\w'.-]{1,30}"  # bounded, so that no text takes long
_YEAR = r"\(?(?:19|20)\d\d[a-z]?\b"
_SITE = r"""(?:radiopa?edia|wikipedia|wikimedia|eurorad|medpix|learningradiology|auntminnie|google|internet
    |flickr|youtube|open-i|statpearls|shutterstock|getty|istock|gray'?s\s+anatomy|netter\w{0,3})"""
_CITATION = rf"""(?:
    {_NAME},?\s+(?-i:[A-Z]{{1,3}})[.,]
    | {_NAME}(?:\s+{_NAME}){{0,2}}(?:\s+(?-i:[A-Z]{{1,3}}))?,?\s+
      (?:et\s+al | and\s+(?:colleagues|co-?workers|{_NAME}) | &\s*{_NAME} | {_YEAR})
    | \[\s*\d | \(\s*\d{{1,3}}\s*[,)] | \bref(?:s|erences?)?\b\.? | https?: | www\. | doi\b | {_SITE}
    | (?:an?|the|our)?\s*(?:{_WORD}\s+){{0,2}}(?:text)?book\b | (?-i:\bJ(?:ournal|\.)\s)
    | the\s+literature | the\s+public\s+domain)"""
_INSTITUTION = r"""(?:universit\w{0,9}|hospitals?|institut\w{0,9}|departments?|clinics?|cent(?:er|re)s?
    |company|inc\b|gmbh|ltd|librar\w{1,3}|museums?|archives?|society|college|foundation|laborator\w{1,5}|press
    |publish\w{1,5})"""
_COPIED = r"""(?:re-?produced|re-?printed|re-?published|re-?drawn|re-?used|adapted|adopted|modified|copied
    |excerpted|borrowed)"""
_GIVEN = r"""(?:provided|supplied|contributed|donated|shared|submitted|lent|loaned|made\s+available|offered
    |furnished|sent|taken|drawn|produced|made|prepared|photographed)"""
# What a technique takes a picture from, rather than another work.
_MATERIAL = r"""(?:\s+(?:the\s+|an?\s+|our\s+|his\s+|her\s+)?(?:\w{1,30}\s+)?
    (?:same|raw|original\s+data|data\s?sets?|volum\w{1,6}|patients?|dicom|images?|scans?|series|c\.?t\.?|mri?
    |pet|3-?d|slices?|acqui\w{1,9}|protocol|sequence|baseline|standard|normal)\b)"""
_PATIENT = r"""(?:patients?|parents?|famil\w{1,3}|guardians?|relatives?|participants?|volunteers?|subjects?
    |mother|father)"""

_RULES = {
    "courtesy": r"\bc(?:ou|u|o)r?te?s[ie]?[ey]+\b",
    "copyright": r"""(?<!\w)© | ©\s*(?:\d|by\b|(?-i:[A-Z])) | \bcopyright(?:ed)?\b(?!\s*-?\s*free)
        | \(c\)\s*(?:by\s+)?(?:(?-i:[A-Z])[\w.-]{1,20},?\s+){0,3}(?:19|20)\d\d""",
    "rights": r"\b(?:all|some)\s+rights\s+reserved\b",
    "a licence of its own": r"""\bcreative\s+commons\b | (?-i:\bCC[\s-](?:BY|0)\b) | \bccal\b
        | \bpublic\s+domain\b | \bgnu\s+free\b | \bopen[\s-]access\s+(?:article|journal|publication)\b
        | \bunder\s+(?:the\s+)?licen[sc]e\b""",
    "permission": rf"""\b(?:with|by|under)\s+(?:{_WORD}\s+){{0,4}}?permissions?\b
        | \bpermissions?\s+(?:(?:was|were|has\s+been|is)\s+)?(?:kindly\s+)?
          (?:obtained|granted|received|given|requested|by|from|of)\b
        | \bpermission\s*: | \bwith\s+(?:kind|express)\s+consent\s+of\b""",
    "copied from": rf"""\b{_COPIED},?\s+(?:[\w-]{{1,30}},?\s+){{0,4}}?
        (?:from|after|by\s+permission|with\s+permission)\b(?!{_MATERIAL})""",
    "copied": rf"""\b(?:re-?printed|re-?published|(?:re-?drawn|re-?produced)\s+from)\b
        | \b{_WORK}\s+(?:(?:was|is|were|are)\s+)?(?:re-?produced|re-?drawn|copied|borrowed)
          \s*(?:[.,;)]|\Z)""",
    "taken from": rf"""
        \b(?:taken|obtained|acquired|extracted|downloaded|retrieved|derived|originat\w{{1,3}}|sourced|{_WORK})\s+
        (?:{_WORD}\s+){{0,2}}?from\s*,?\s*\(?(?:the\s+)?
        (?:(?:study|work|article|paper|book|website|site|case)\s+(?:of|by)\s+)?{_CITATION}""",
    "scan from a citation": rf"\b(?:cta?|mri?|pet|ultrasound)\s+from\s+{_NAME}\s+et\s+al\b",
    "from a citation": rf"(?:\A|[.;:(])\s*(?:from|after|based\s+on)\s*:?\s*{_CITATION}",
    "from nobody": r"""\b(?:source|image|figure|picture|taken|adapted|modified)\s*:?\s*
        from\s*(?:\d{1,3}\s*)?[,.;)]""",
    "from a database": rf"""\bfrom\s+(?:the\s+)?(?:(?:NIH|Kaggle|RSNA)\s+)?
          (?-i:MIAS|DDSM|CBIS|LIDC|ADNI|TCIA|INbreast|BraTS|OASIS|ChestX|CheXpert|MIMIC|MURA|PadChest|DeepLesion
          |COVIDx|VinDr|BUSI|NLST|Kaggle)
        | \bfrom\s+(?:an?\s+|the\s+)?(?:public|open|online|free)\w{{0,9}}\s+(?:{_WORD}\s+){{0,2}}
          (?:database|data\s?set|repository)""",
    "source": rf"""(?:(?:\A|[.,;:()\]\d]\s*|\b{_WORK}\s+|\bdata\s+)\bsources? | (?<=[a-z]\.)Sources?)
        \s*(?:[:=]|-\s|\bfrom\b)\s*\(?(?=[\w"'(\[])""",
    "credit": rf"""\b{_WORK}\s+(?:credits?|courtesies|contributors?|attribution)\b
        | \bcredits?\s*(?:line\s*)?(?::|to\b) | \bcredited\s+to\b""",
    "work of a person": rf"""\b{_WORK}\s*(?:(?:was|were)\s+)?(?:{_GIVEN}\s+)?(?:by|:)\s*{_TITLE}
        | \b(?:photo|photograph|photography|picture|illustration|drawing|artwork)s?\s+by\s+{_NAME}\s+{_NAME}
        | \b(?:photo|photograph|drawing|illustration)s?\s*:\s*{_NAME}\s+{_NAME}
        | \b(?:contributed|authori[sz]ed)\s+by\s+{_NAME}\b(?!\s+et\b)
        | [(\[]\s*{_TITLE}\.?\s+{_NAME}
        | [(\[]\s*{_NAME}(?:\s+{_NAME}){{1,3}},?\s*(?-i:MD|M\.D\.|Ph\.?D)""",
    "work of an institution": rf"""
        \b{_WORK}\s*:\s*(?:{_NAME}\s+){{0,3}}(?-i:[A-Z])[a-z]{{0,20}}{_INSTITUTION}""",
    "given by": rf"""\b{_WORK}\s+[^.;]{{0,30}}?\b{_GIVEN}\s+(?:to\s+us\s+)?by\s+(?:the\s+)?
          (?:{_TITLE}|(?:{_WORD}\s+){{0,4}}?{_INSTITUTION}\b)
        | \b{_GIVEN}\s+(?:to\s+us\s+)?by\s+{_TITLE}
        | \b(?:kindly|generously|graciously)\s+{_GIVEN} | \bkindness\s+of\b | \b(?:generous|kind)\s+gift\b""",
    "thanks": rf"""\b(?:we|authors)\s+(?:{_WORD}\s+){{0,2}}?(?:thank|acknowledge)\b
        | \bthanks\s+to\s+(?-i:Dr|Prof|[A-Z]) | \backnowledge?ments?\s*:""",
    "collection": rf"""\b(?:property|collections?|archives?|files?|librar\w{{1,3}})\s+of\s+(?:the\s+)?
          (?:{_TITLE}|{_NAME}\s+{_NAME}|(?:[\w-]{{1,30}}\s+){{0,3}}?{_INSTITUTION})
        | {_NAME}['"]?\s+(?:image\s+)?archives?\b
        | \b{_INSTITUTION}\b[^.;]{{0,60}}\b(?:archives?|collection|picture\s+library)\s*[.;)]*\Z""",
    "published elsewhere": r"""\b(?:originally|previously|first|already|been)\s+(?:published|appeared)\s+
        (?:in|by|at|on|under|elsewhere)\b | \bas\s+published\s+(?:by|in)\b""",
    "site of pictures": rf"\b{_SITE}(?:\.(?:org|com))?\b(?<!google)(?<!internet)",
    "publisher": r"""(?-i:\b(?:Elsevier|Springer|Wiley|Lippincott|Karger|Thieme|Taylor\s+(?:and|&)\s+Francis
        |Saunders|McGraw)\b)""",
    "citation alone": rf"""(?:[.;)]|\A)\s*\(?{_NAME}(?:\s+et\s+al\.?|\s+(?:and|&)\s+{_NAME}),?\s*{_YEAR}
        \)?\s*\[?\d{{0,3}}\]?\s*[.;)]*\s*\Z""",
    "other languages": r"""\bcort[eé]s[ií]a\b | \b(?:fuente|fonte|quelle|bron)\s*:\s*(?=\w)
        | \bfreundlicher\s+genehmigung\b | \bavec\s+l\W?(?:aimable\s+)?(?:autorisation|permission)\b
        | \bper\s+gentile\s+concessione\b | \bcon\s+(?:el\s+)?permiso\s+de\b | \bcom\s+permiss[ãa]o\b""",
}
_CREDIT = any_of(_RULES.values())
# What no licence says of itself; a copyright, a source and permissions it may well state.
_COPIES = any_of(
    (
        *(_RULES[name] for name in ("courtesy", "copied from", "copied")),
        rf"\b(?:with|by)\s+(?:{_WORD}\s+){{0,3}}?permission\b",
    )
)

_AUTHORS = (
    r"""(?:(?:the|present|our)\s+){0,2}(?:authors?|autora?e?s?|auteurs?|autoren|verfasser)'?s?'?(?!\w)"""
)
_OWN = re.compile(
    rf"""(?:\b(?:sources?|fuente|fonte|quelle|photo|image|credits?)\s?:\s?)?(?:
    (?:(?:(?:by\s)?courtesy|©|\(c\)|copyright|credits?|photo|image|source)\s?:?\s?(?:(?:19|20)\d\d)?\s?)?
        \b(?:(?:of|by|from|to)\s)?{_AUTHORS}(?!\s+of\b)(?:\s*\(s\))?(?:\s*,?\s*(?:19|20)\d\d)?
        (?:\s+own)?(?:\s+(?:work|collection|archives?|images?|files?|material))?
    | \b(?:(?:my|our|authors?'?s?)\s)?own\s+(?:\w{{1,30}}\s+)?
        (?:work|images?|cases?|material|archives?|data|elaboration|figures?|photos?|photographs?
        |illustrations?|production|collection|pictures?|creation|source|files?)\b
    | \b(?:elaboraci[oó]n|elabora[cç][aã]o|fotograf[ií]a|archivo|acervo)\s+(?:propi[ao]|pr[oó]pri[ao])
    | \belaborad[oa]\s+p(?:or|elos?)\s+(?:(?:los|os)\s+)?autora?e?s?\b
    | \beigene\w?\s+\w{{1,30}} | \btravail\s+personnel | \bself[\s-](?:made|created|produced)
    | \bwith\s+(?:{_WORD}\s+){{0,3}}?{_PATIENT}'?s?'?\s+(?:{_WORD}\s+){{0,2}}?permission
    | (?:\b(?:with|by|under)\s(?:{_WORD}\s){{0,3}}?)?\b(?:permission|courtesy)\s+
        (?:(?:was|were)\s+(?:obtained|given|granted)\s+)?(?:of|from|by)\s+(?:{_WORD}\s+){{0,3}}?{_PATIENT}\b
    | \b{_PATIENT}\s+(?:{_WORD}\s+){{0,3}}?(?:gave|granted|provided)\s+(?:{_WORD}\s+){{0,4}}?permission
        (?:\s+(?:to|for)\s+publi\w{{1,9}})?
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_LABEL = re.compile(
    rf"\b(?:sources?|fuente|fonte|quelle|credits?|attribution|by|of|the|{_WORK})\b | [\W_]",
    re.IGNORECASE | re.VERBOSE,
)
_PANEL_C = re.compile(r"(\(b\).{0,400}?)\(c\)", re.IGNORECASE)  # a letter of a panel, no sign of copyright
_PLAIN = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014", "''\"\"--")


def third_party_words(text: str) -> str | None:
    """Return the words of a text that credit somebody else with the picture, None where there are none."""
    return _words(_CREDIT, text)


def copied_words(permissions: str) -> str | None:
    """Return the words of permissions by which the picture is a copy, None where there are none."""
    return _words(_COPIES, permissions)


def _words(pattern: re.Pattern[str], text: str) -> str | None:
    text = _OWN.sub(" ", _PANEL_C.sub(r"\1", _plain(text)))
    match = pattern.search(text)
    return shorten(text[match.start() : match.start() + _WIDTH].strip(" .;,"), _WIDTH) if match else None


def is_own_work(attribution: str) -> bool:
    """Tell whether an attribution line names nobody but the authors: `Own work`, `Source: the authors`."""
    return not _LABEL.sub("", _OWN.sub("", _plain(attribution)))


def _plain(text: str) -> str:
    """Return a text with single blanks, plain quotation marks and plain dashes."""
    return " ".join(text.translate(_PLAIN).split())
