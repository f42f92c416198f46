"""What is wrong with all rows of a file, or nearly all: one cause with its remedy instead of a finding a row.

A cause is looked for in a sample of the rows first, so that a faultless file costs nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rocov2_eval.column_names import is_id_name
from rocov2_eval.concept_cells import Cell
from rocov2_eval.editions import years_of
from rocov2_eval.findings import RULES, finding
from rocov2_eval.records import Finding, IntArray, Severity, Task
from rocov2_eval.shelf.words import file_name, short_id, shorten

NEARLY_ALL = 0.9
_MEANINGLESS = 0.5  # from this share on the score says nothing of the method
_FEWEST = 2  # of one row nobody can say what holds for all
_FEWEST_EQUAL = 3
_SAMPLED = 50
_SHOWN = 3
_CUI_DIGITS = 7
_LOOKED_AT = 1 << 16  # characters from the start of a file
_QUOTED_LINE = re.compile(r'"(?:[^"]|"")*"').fullmatch
_NUMBERS = re.compile(r"[0-9]+")


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """The answers of a file, and of the truth that it is compared with.

    Attributes:
        image_ids: The first cell of each row.
        cells: The second cell of each row.
        truth_ids: The ids of the truth, None where there is none or the file is the truth itself.
        truth_cells: Its answers, in the order of its ids.
    """

    image_ids: Sequence[str]
    cells: Sequence[Cell]
    truth_ids: Sequence[str] | None = None
    truth_cells: Sequence[Cell] = ()

    @cached_property
    def filled(self) -> list[int]:
        """The rows whose cell is not blank."""
        return [i for i, cell in enumerate(self.cells) if cell and not cell.isspace()]

    @cached_property
    def known(self) -> set[str]:
        """The ids of the truth."""
        return set(self.truth_ids or ())

    @cached_property
    def has_whole_cuis(self) -> bool:
        """The concepts of the truth have seven digits, as those of UMLS do; also where there is no truth."""
        found = [
            cui for i in _spread(range(len(self.truth_cells))) for cui in _cuis(self.truth_cells[i] or "")
        ]
        return all(len(cui) == _CUI_DIGITS + 1 for cui in found)

    def text(self, i: int) -> str:
        """Return the cell of a row as text."""
        return self.cells[i] or ""


# Tells for a row whether a cause holds for it; None where the row says nothing of it either way.
Test = Callable[[Answers, int], bool | None]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What may hold for all rows of a file.

    Attributes:
        code: The rule, whose fix is the remedy.
        what: What holds for the rows, after their number.
        holds: Tells whether it holds for a row.
        tasks: The tasks whose files are looked at.
        least: Smallest share of the rows for which it holds.
        explains: Codes of what follows from it for single rows, which is not told again.
        of_truth: A truth of which it holds cannot be used either.
        is_possible: Tells quickly, in the place of a sample, whether the cause can hold for a row at all.
    """

    code: str
    what: str
    holds: Test
    tasks: tuple[Task, ...] = ("concepts", "captions")
    least: float = NEARLY_ALL
    explains: frozenset[str] = frozenset()
    of_truth: bool = True
    is_possible: Callable[[Answers], bool] | None = None


def _matches(pattern: str, flags: int = 0) -> Test:
    fits = re.compile(pattern, re.DOTALL | flags).fullmatch
    return lambda answers, i: fits(answers.text(i).strip()) is not None


def _finds(pattern: str) -> Test:
    search = re.compile(pattern).search
    return lambda answers, i: search(answers.text(i)) is not None


def _cuis(cell: str) -> list[str]:
    return re.findall(r"\b[Cc][0-9]+\b", cell)


def _may_lack_values(answers: Answers) -> bool:
    short = {cell for cell in answers.cells if cell and len(cell) <= _LONGEST_NO_VALUE}
    return any(cell.lower() in NO_VALUE for cell in short)


def _is_swapped(answers: Answers, i: int) -> bool:
    cell = answers.text(i).strip()
    if answers.truth_ids is not None:
        return cell in answers.known and answers.image_ids[i] not in answers.known
    return bool(_ANSWER(answers.image_ids[i])) and not _ANSWER(cell) and len(cell.split()) == 1


def _is_badly_joined(answers: Answers, i: int) -> bool | None:
    """A cell of one concept says nothing of how several are joined."""
    cell = answers.text(i)
    if len(_cuis(cell)) <= 1 and re.fullmatch(r"\W*[Cc]?[0-9]+\W*", cell):
        return None
    return _BADLY_JOINED(cell) is not None


def _has_lost_digits(answers: Answers, i: int) -> bool:
    return answers.has_whole_cuis and any(map(_DAMAGED_CUI, answers.text(i).split(";")))


def _is_sentence(answers: Answers, i: int) -> bool:
    cell = answers.text(i)
    longest = max(len(piece.split()) for piece in re.split("[;,|]", cell))
    return longest > _MOST_WORDS_OF_A_NAME and not re.search(r"\b[Cc][0-9]{4,}\b", cell)


def _is_no_concept(answers: Answers, i: int) -> bool:
    return not _cuis(answers.text(i))


def _has_other_text(answers: Answers, i: int) -> bool:
    pieces = answers.text(i).split(";")
    return any(_cuis(piece) and not re.fullmatch(r"\s*[Cc][0-9]+\s*", piece) for piece in pieces)


def _is_lower(answers: Answers, i: int) -> bool:
    found = _cuis(answers.text(i))
    return bool(found) and all(cui[0] == "c" for cui in found)


def _is_wordless(answers: Answers, i: int) -> bool:
    cell = answers.text(i)
    is_file = re.fullmatch(r"\S+\.(?:jpe?g|png|dcm|tiff?)", cell.strip(), re.IGNORECASE)
    return cell == answers.image_ids[i] or bool(is_file) or not any(map(str.isalpha, cell))


_MOST_WORDS_OF_A_NAME = 4
_ANSWER = re.compile(r"\s*(?:C[0-9]{7}(?:[;,\s].*)?|\S+(?:\s+\S+){3,})\s*", re.DOTALL).fullmatch
_OF_CELLS = frozenset({"R110", "R111", "R203", "R204", "R205", "R207", "R406"})
_OF_OTHER_CELLS = _OF_CELLS | {"R208", "R209", "R210", "R211"}
OF_IDS = frozenset({"R104", "R105", "R401", "R403"})
NO_VALUE = frozenset(
    {"nan", "none", "null", "n/a", "na", "<na>", "nat", "#n/a", "undefined", "nil", "missing"}
)
_LONGEST_NO_VALUE = max(map(len, NO_VALUE))
_CUI_CELL = r"\W*C[0-9]{4,}(?:[\W_]+C[0-9]{4,})*\W*"

# A comma, a blank or another sign between concepts, also as East Asian keyboards have them.
_BADLY_JOINED = re.compile(
    r"\s*[Cc][0-9]+(?:(?:[\s,|/+&:_\uff1b\uff0c\u3001\u00b7-]|\band\b)+[Cc][0-9]+)+[\s,|]*"
).fullmatch

# Seven digits without their C, 3 to 6 with or without it, and more; C1 and C7 are names that people make up.
_DAMAGED_CUI = re.compile(r"\s*(?:[0-9]{7}|[Cc]?[0-9]{3,6}|[Cc]?[0-9]{8,})(?:\.0*)?\s*").fullmatch
# In this order: what an earlier one explains is not looked for again.
CAUSES: tuple[Cause, ...] = (
    Cause(
        code="R021",
        what="rows have the answer first and the id second",
        holds=_is_swapped,
        explains=OF_IDS | _OF_OTHER_CELLS | {"R020", "R102", "R103", "R206", "R305", "R306", "R023"},
    ),
    Cause(
        code="R116",
        what="answers are a word for a missing value",
        holds=lambda answers, i: answers.text(i).strip().lower() in NO_VALUE,
        least=0.0,
        explains=frozenset({"R306", "R209", "R208", "R020", "R023"}),
        is_possible=_may_lack_values,
    ),
    Cause(
        code="R020",
        what="captions are concepts",
        holds=_matches(_CUI_CELL, re.IGNORECASE),
        tasks=("captions",),
        explains=frozenset({"R305", "R306"}),
    ),
    Cause(
        code="R208",
        what="cells contain a list, an object or a quoted text",
        holds=_matches(r"""b?[\[({'"].*[\])}'"]"""),
        tasks=("concepts",),
        explains=_OF_CELLS | {"R209", "R210", "R211"},
    ),
    Cause(
        code="R208",
        what="cells join several concepts by commas, spaces or other characters",
        holds=_is_badly_joined,
        tasks=("concepts",),
        explains=_OF_CELLS | {"R209", "R210", "R211"},
    ),
    Cause(
        code="R210",
        what="cells contain concepts without the C or the seven digits",
        holds=_has_lost_digits,
        tasks=("concepts",),
        least=0.1,
        explains=_OF_CELLS | {"R209"},
    ),
    Cause(
        code="R020",
        what="cells contain a sentence instead of concepts",
        holds=_is_sentence,
        tasks=("concepts",),
        least=0.5,
        explains=_OF_OTHER_CELLS,
    ),
    Cause(
        code="R209",
        what="cells contain no CUI",
        holds=_is_no_concept,
        tasks=("concepts",),
        explains=_OF_CELLS,
    ),
    Cause(
        code="R208",
        what="cells contain other text beside CUIs",
        holds=_has_other_text,
        tasks=("concepts",),
        explains=_OF_CELLS,
    ),
    Cause(
        code="R211",
        what="cells contain CUIs in lower case",
        holds=_is_lower,
        tasks=("concepts",),
        explains=frozenset({"R205", "R406"}),
        of_truth=False,
    ),
    Cause(
        code="R305",
        what="captions are a list, an object or a quoted text",
        holds=_matches(r"""b?(?:\[.*\]|\{.*\}|\('.*\)|\(".*\)|'.*'|".*")"""),
        tasks=("captions",),
        of_truth=False,
    ),
    Cause(
        code="R305",
        what="captions contain special tokens of a model",
        holds=_finds(
            r"\[(?:CLS|SEP|PAD|UNK|MASK|BOS|EOS)\]|<\|[^|<>]*\|>|</?s>|<(?:pad|unk|bos|eos)>|##[a-z]"
        ),
        tasks=("captions",),
        explains=frozenset({"R111"}),
        of_truth=False,
    ),
    Cause(
        code="R306",
        what="captions are numbers, ids or file names",
        holds=_is_wordless,
        tasks=("captions",),
        explains=frozenset({"R304"}),
    ),
)


def causes_of(
    answers: Answers,
    task: Task,
    path: str,
    lines: Sequence[int] | IntArray,
    *,
    is_ours: bool,
    of_truth: bool = False,
) -> Iterator[tuple[Finding, frozenset[str]]]:
    """Yield a finding for each cause that holds, with the codes of what follows from it.

    Args:
        answers: The answers of the file.
        task: What the file should hold.
        path: How findings name it.
        lines: The line of each row.
        is_ours: The edition is our own. An official evaluator gives such a file a number, and so do we with
            a warning; where nobody has to be reproduced, a score that says nothing is refused.
        of_truth: The file is the truth.
    """
    explained: set[str] = set()
    for cause in CAUSES:
        if task not in cause.tasks or cause.code in explained or (of_truth and not cause.of_truth):
            continue
        rows, n = _rows(cause, answers)
        if not rows:
            continue
        share = len(rows) / max(len(answers.filled), 1)
        if of_truth and share < _MEANINGLESS:
            continue
        severity: Severity = "error" if is_ours and share >= _MEANINGLESS and _is_fatal(cause) else "warning"
        message = f"{len(rows):,} of {n:,} {cause.what}: {_examples(answers, rows, lines)}"
        code = "R504" if of_truth else cause.code
        follows = cause.explains if share >= _MEANINGLESS else frozenset[str]()
        yield finding(code, path, None, message, severity=severity), follows
        if share >= _MEANINGLESS:
            explained |= cause.explains | {cause.code}


def equal_answers(answers: Answers, path: str) -> Iterator[Finding]:
    """Yield a note where all answers are the same, and one where they are those of the truth."""
    cells = answers.cells
    if len(cells) >= _FEWEST_EQUAL and len(set(cells)) <= 1 + (1 - NEARLY_ALL) * len(cells):
        cell, number = Counter(cells).most_common(1)[0]
        if number >= NEARLY_ALL * len(cells):
            yield finding(
                "R023",
                path,
                None,
                f"{number:,} of {len(cells):,} rows have {shorten(cell or '')!r}",
            )
    if not any(answers.truth_cells) or len(cells) != len(answers.truth_cells):
        return
    if answers.image_ids == answers.truth_ids:
        is_truth = list(cells) == list(answers.truth_cells)
    else:
        truth = dict(zip(answers.truth_ids or (), answers.truth_cells, strict=True))
        is_truth = all(truth.get(i) == cell for i, cell in zip(answers.image_ids, cells, strict=True))
    if is_truth:
        yield finding("R024", path, None, f"all {len(cells):,} answers are equal to those of the truth")


def scored_header(answers: Answers, path: str, line: int, *, is_ours: bool) -> Iterator[Finding]:
    """Yield a finding where run and truth begin with the same header that the reader takes for an image.

    Without a truth, such a first row of the run is enough.
    """
    if not looks_like_header(answers.image_ids):
        return
    if answers.truth_ids is None:
        message = f"{short_id(answers.image_ids[0])!r} looks like a header, but is read as an image id"
        yield finding("R117", path, line, message, severity="warning")
    if answers.image_ids[0] not in answers.known:
        return
    message = (
        f"run and truth both start with the header {short_id(answers.image_ids[0])!r}, which is scored "
        "as an image"
    )
    yield finding("R117", path, line, message, severity="error" if is_ours else "warning")


def looks_like_header(image_ids: Sequence[str]) -> bool:
    """Tell whether the first id is the name of a column: a known one, or the only id without a number."""
    if len(image_ids) < _FEWEST:
        return False
    others = (image_ids[1 + i] for i in _spread(range(len(image_ids) - 1)))
    return is_id_name(image_ids[0]) or (
        not _NUMBERS.search(image_ids[0]) and all(map(_NUMBERS.search, others))
    )


def whole_lines(text: str, delimiter: str, task: Task) -> tuple[str, str] | None:
    """Return code and message of a cause that keeps nearly all lines from being cut into two cells.

    Args:
        text: The text of a file.
        delimiter: What stands between its cells.
        task: What the file should hold.
    """
    lines = [line for line in text[:_LOOKED_AT].splitlines()[1:_SAMPLED] if line.strip()]
    if len(lines) < _FEWEST:
        return None
    quoted = [line for line in lines if delimiter in line and _QUOTED_LINE(line.strip())]
    if len(quoted) >= NEARLY_ALL * len(lines):
        return "R022", f"quotes enclose whole lines: {shorten(quoted[0])!r}"
    several = [line for line in lines if len(_cuis(line.partition(delimiter)[2])) > 1]
    joined = [line for line in several if ";" not in line and line.count(delimiter) > 1]
    if task == "concepts" and joined and len(joined) >= NEARLY_ALL * len(several):
        return "R208", f"the column separator also joins the concepts of an image: {shorten(joined[0])!r}"
    return None


# ---- ids

_SUFFIX = re.compile(
    r"\.(?:jpe?g|png|gif|tiff?|bmp|webp|dcm|dicom|npy|npz|txt|json|nii(?:\.gz)?)\Z", re.IGNORECASE
)
Way = Callable[[str], str]


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) not in ("Cf", "Cc")
    )


def _unpadded(text: str) -> str:
    return _NUMBERS.sub(lambda number: number[0].lstrip("0") or "0", text)


# What two spellings of an id have in common, by the name of that in which they differ.
WAYS: Mapping[str, Way] = {
    "spaces": str.strip,
    "invisible or look-alike characters": _visible,
    "a file extension": lambda text: _SUFFIX.sub("", text),
    "a folder name": file_name,
    "quotes": lambda text: text.strip("'\"`"),
    "upper and lower case": str.casefold,
    "leading zeros": _unpadded,
    "a decimal point": lambda text: re.sub(r"\.0+\Z", "", text),
    "the characters between its parts": lambda text: re.sub(r"[-_. ]+", "_", text),
}


def _in_every_way(text: str) -> str:
    for way in WAYS.values():
        text = way(text)
    return text.strip()


def _number(text: str) -> str:
    """Return the last number of an id without the zeros before it."""
    return _unpadded((_NUMBERS.findall(_in_every_way(text)) or [text])[-1])


def _added(image_ids: Sequence[str], truth_ids: Collection[str]) -> tuple[str, str]:
    """Return what all ids of one of the two have before and after those of the other."""
    before, their_before = map(_start, (image_ids, truth_ids))
    after, their_after = (_start([text[::-1] for text in ids])[::-1] for ids in (image_ids, truth_ids))
    long, short = (before, their_before) if len(before) > len(their_before) else (their_before, before)
    first = long.removesuffix(short) if long.endswith(short) else ""
    long, short = (after, their_after) if len(after) > len(their_after) else (their_after, after)
    return first, long.removeprefix(short) if long.startswith(short) else ""


def _start(texts: Collection[str]) -> str:
    """Return what all texts begin with."""
    low, high = min(texts, default=""), max(texts, default="")
    return low[: next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))]


def slip_of(image_ids: Sequence[str], truth_ids: Collection[str]) -> tuple[str, dict[str, str]] | None:
    """Return in which way nearly all of some ids differ from those of the truth, and the right id of each.

    Whichever of the two has the ending, the folder or the blanks: both are brought to the same form.

    Args:
        image_ids: Ids of a run that are not in the truth.
        truth_ids: Ids of the truth.
    """
    ways: dict[str, Way] = {
        **WAYS,
        "several differences (spaces, file extension, folder, case, zeros)": _in_every_way,
    }
    if len(image_ids) < _FEWEST:
        return None
    before, after = _added(image_ids, truth_ids)
    if before or after:
        shown = " and ".join(repr(short_id(text, 20)) for text in (before, after) if text)
        ways[f"{shown} added to the id"] = lambda text: text.removeprefix(before).removesuffix(after)
    if all(map(str.isdigit, truth_ids)) or all(map(str.isdigit, image_ids)):
        ways["the text before its number"] = _number
    for name, way in ways.items():
        truth = {way(image_id): image_id for image_id in truth_ids}
        if len(truth) < len(truth_ids):  # two images of the truth would become one
            continue
        right = {image_id: truth[form] for image_id in image_ids if (form := way(image_id)) in truth}
        if len(right) >= NEARLY_ALL * len(set(image_ids)) and len(set(right.values())) == len(right):
            return name, right
    return None


def nearest(image_id: str, known: set[str]) -> str:
    """Return a hint where one slip explains an unknown id, empty where none does."""
    for slip, way in WAYS.items():
        if (candidate := way(image_id)) in known:
            return f": without {slip} it is {short_id(candidate)!r}"
    return ""


# ---- the table, applied


def _rows(cause: Cause, answers: Answers) -> tuple[list[int], int]:
    """Return the rows for which a cause holds, and of how many it could; none where they are too few."""
    if cause.is_possible is not None:
        if not cause.is_possible(answers):
            return [], 0
    else:
        tested = [cause.holds(answers, i) for i in _spread(answers.filled)]
        # A sample may hold somewhat fewer than the file.
        if tested.count(True) < 0.8 * cause.least * (len(tested) - tested.count(None)) or True not in tested:
            return [], 0
    results = {i: cause.holds(answers, i) for i in answers.filled}
    rows = [i for i, holds in results.items() if holds]
    n = sum(holds is not None for holds in results.values())
    is_enough = len(rows) >= max(cause.least * n, 1) and (n >= _FEWEST or not cause.least)
    # One cell among thousands that say nothing is the fault of a row.
    is_common = not cause.least or len(rows) >= 0.1 * len(answers.filled)
    return (rows, n) if is_enough and is_common else ([], 0)


def _is_fatal(cause: Cause) -> bool:
    return cause.code == "R116" or RULES[cause.code].severity == "error"


def _examples(answers: Answers, rows: Sequence[int], lines: Sequence[int] | IntArray) -> str:
    shown = [f"line {lines[i]} {shorten(answers.text(i), 40)!r}" for i in rows[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(rows) > _SHOWN else "")


def _spread(rows: Sequence[int]) -> Sequence[int]:
    """Return some rows from all over a file."""
    return rows[:: max(len(rows) // _SAMPLED, 1)]


def other_year(image_ids: Iterable[str], truth_ids: Iterable[str], path: str) -> Finding | None:
    """Return a finding where the ids of a run and of a truth name different years, else None."""
    of_run, of_truth = years_of(image_ids), years_of(truth_ids)
    if not of_run or not of_truth or of_run.keys() & of_truth.keys():
        return None
    return finding(
        "R118", path, None, f"the run contains ids of {tally(of_run)}, the truth ids of {tally(of_truth)}"
    )


def tally(years: Counter[str]) -> str:
    """Return years with the number of ids that name each."""
    return " and ".join(f"{year} ({count:,})" for year, count in sorted(years.items()))
