"""The rules a file can break: code, title, why it matters, how to fix it.

R0xx the file as a whole · R1xx rows and ids · R2xx concepts · R3xx captions · R4xx the 2026 format check ·
R5xx the truth · R6xx metadata. `rocov2-eval explain CODE` prints one, `docs/findings.md` lists them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rocov2_eval.records import Finding, Severity

MOST_PER_RULE = 5  # examples of one rule and file: who mends the cause needs no more, and nobody reads 10,000


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        title: What is wrong, in a line.
        why: What the official evaluators do with such a file.
        fix: What the user does to mend the file.
        severity: How a finding of this rule counts unless the check says otherwise.
    """

    title: str
    why: str
    fix: str
    severity: Severity = "error"


RULES: Mapping[str, Rule] = {
    "R001": Rule(
        title="the file cannot be read",
        why="The path does not exist, is a folder, is too large, or may not be opened by you.",
        fix="Check the path and its permissions; a run of 20,000 images is a few megabytes.",
    ),
    "R002": Rule(
        title="the file is not UTF-8",
        why="The evaluators open files as UTF-8 and stop at the first byte that is not.",
        fix="Save the text again as UTF-8. A text from Windows in a Western language, for instance: "
        "iconv -f cp1252 -t utf-8 run.csv > run.utf8.csv",
    ),
    "R003": Rule(
        title="the file holds no rows",
        why="Every evaluator wants one row for each test image; 2025 and 2026 crash on an empty caption file.",
        fix="Write one row for each image.",
    ),
    "R004": Rule(
        title="the zip archive is not a submission",
        why="The platform takes a zip archive with one CSV file in it.",
        fix="Zip the CSV file alone: zip run.zip run.csv",
    ),
    "R005": Rule(
        title="the CSV cannot be parsed to its end",
        why="Python's csv module, which every evaluator uses, raises at this place (a cell of more than "
        "131,072 characters, most often because of an opening quote that is never closed).",
        fix="Close the quote, or write a quote inside a quoted cell twice.",
    ),
    "R006": Rule(
        title="the file starts with a byte order mark",
        why="The mark becomes part of the first cell: without a header the first image id is unknown, the "
        "caption evaluators of 2025 and 2026 crash, and the 2026 format check rejects the header.",
        fix="Save as UTF-8 without BOM (in Excel: 'CSV', then remove it with: sed -i '1s/^\\xEF\\xBB\\xBF//').",
    ),
    "R007": Rule(
        title="the task cannot be told from the file",
        why="There is neither a header ID,CUIs or ID,Caption nor cells that look like concepts.",
        fix="Add --task concepts or --task captions.",
    ),
    "R008": Rule(
        title="the file is not in the format of the edition",
        why="Editions differ in separator and header: tab until 2021, | in 2022, | or tab in 2023, comma since 2024. "
        "The platform takes no other file. `score` and `validate` convert one in memory; the result is not official.",
        fix="Write it anew: rocov2-eval convert RUN -o run.csv --edition EDITION; or name its edition with --edition.",
    ),
    "R009": Rule(
        title="a list that names no article",
        why="Lists of articles have a PMCID a line, or a header with the columns that are looked for; lists of "
        "figures have a column of PMCIDs and one of file names. This file has no such column, or no row.",
        fix="Give the right file, rename its columns, or name them to the command where it takes their names.",
    ),
    "R010": Rule(
        title="the file is of another kind",
        why="A run is a table of ids and answers. This file is a workbook, an archive or another binary file.",
        fix="Do what the finding says; `rocov2-eval convert` takes CSV, JSON, JSON Lines and Parquet.",
    ),
    "R011": Rule(
        title="the file cannot be read as JSON or Parquet",
        why="It is damaged or cut off, or it holds something else than ids and answers.",
        fix='Write a list of records, {"image_id": …, "caption": …}, one a line (.jsonl) or as one list.',
    ),
    "R012": Rule(
        title="the columns of ids and answers cannot be told",
        why="No column, or more than one, has a name that says what it holds, such as ID, image_id, CUIs, caption.",
        fix="Name them: --id-column NAME --value-column NAME.",
    ),
    "R020": Rule(
        title="the answers are those of the other task",
        why="A caption is no concept and a concept is no caption: no answer can match.",
        fix="Hand in the file of this task, or name the task of the file with --task.",
    ),
    "R021": Rule(
        title="ids and answers have changed places",
        why="Every evaluator takes the first cell for the id and the second for the answer.",
        fix="Write the id first, then the answer.",
    ),
    "R022": Rule(
        title="each row is one quoted cell",
        why="Quotes around a whole row make one cell of id and answer. Most often a finished row went through a "
        "CSV writer once more.",
        fix="Write id and answer as two cells: writer.writerow([image_id, answer]).",
    ),
    "R023": Rule(
        title="nearly all images have the same answer",
        why="It may be meant, as a floor. Most often a loop kept its first answer, or a model has collapsed.",
        fix="Look at some answers before you hand the run in.",
        severity="note",
    ),
    "R024": Rule(
        title="the run has the answers of the truth",
        why="The best score of all says nothing then. It is of use to check an installation.",
        fix="Name the run that your method wrote.",
        severity="note",
    ),
    "R101": Rule(
        title="a blank line",
        why="2018 and 2022 report a wrong format; the evaluators from 2023 on crash with an IndexError.",
        fix="Delete the line; the file must end with the newline of its last row.",
    ),
    "R102": Rule(
        title="a row with the wrong number of cells",
        why="Concept rows have an id and one cell of concepts; caption rows have an id and a caption.",
        fix="Separate concepts by ';'. Put a caption that holds the separator in double quotes.",
    ),
    "R103": Rule(
        title="an image id appears twice",
        why="Every evaluator refuses the file.",
        fix="Keep one row for each image.",
    ),
    "R104": Rule(
        title="an image id is not in the truth",
        why="Every evaluator refuses the file. Ids are compared as they are: blanks, a file ending or another "
        "case make another id.",
        fix="Use the ids of the test set, without '.jpg' and without blanks.",
    ),
    "R105": Rule(
        title="images of the truth are missing",
        why="Every evaluator wants as many ids as the truth has. `score --lenient` counts a missing image as 0 and "
        "marks the result as unofficial.",
        fix="Add a row for each missing image; an empty concept cell is allowed.",
    ),
    "R106": Rule(
        title="an image id holds the capitals ID",
        why="The concept evaluators of 2023 to 2026 and the caption evaluators of 2023 and 2024 take every row "
        "whose first cell holds 'ID' for a header and skip it, in the truth and in the run: the image is not "
        "scored and nobody is told.",
        fix="Organisers: choose ids without the letters ID. Participants: nothing you can do.",
        severity="warning",
    ),
    "R107": Rule(
        title="the header is missing",
        why="The caption evaluators of 2025 and 2026 take the first row for the header and then miss an image.",
        fix="Make the first line ID,Caption.",
    ),
    "R108": Rule(
        title="the header is not spelt ID",
        why="The evaluators of 2023 and 2024 and all concept evaluators take a header 'id' for an unknown image.",
        fix="Spell the header ID,CUIs or ID,Caption.",
        severity="warning",
    ),
    "R109": Rule(
        title="a header where the edition has none",
        why="The evaluators of 2018 and 2022 take the header for an unknown image.",
        fix="Delete the first line.",
    ),
    "R110": Rule(
        title="a cell that a spreadsheet would run as a formula",
        why="Whoever opens the file in a spreadsheet runs it. Here it is text like any other: it scores as it "
        "stands and is written to no table without a mark in front.",
        fix="Remove it, if it is not meant.",
        severity="warning",
    ),
    "R111": Rule(
        title="a cell that holds HTML",
        why="Metrics take the tags for words. On our pages they are shown as text and never run.",
        fix="Write the caption without tags.",
        severity="warning",
    ),
    "R112": Rule(
        title="NUL bytes",
        why="The csv module of Python before 3.11 stops at such a byte; later ones take it for a character of the "
        "cell, as we do. No text holds one: the file is damaged, or not what its name says.",
        fix="Write the file again as plain UTF-8 text.",
        severity="warning",
    ),
    "R113": Rule(
        title="a row of a list that is not understood",
        why="A row that is passed over may be an article or a figure that is lost.",
        fix="Write a PMCID as PMC and at most 12 digits, a file name without its folder, and as many cells as the "
        "header has; put a cell that holds the separator in double quotes.",
    ),
    "R114": Rule(
        title="ids that differ from the truth's in one way",
        why="Ids are compared as they are: a file ending, a folder, blanks, another case or a character that nobody "
        "sees make another id, and every evaluator refuses the file.",
        fix="Write the ids exactly as the truth has them.",
    ),
    "R115": Rule(
        title="ids of another split",
        why="The run answers other images than those that it is compared with.",
        fix="Name the split of the run with --split, or hand in the run of this split.",
    ),
    "R116": Rule(
        title="a word that stands for no value",
        why="pandas and Python write nan, None or null for a cell without a value. Evaluators take the word for "
        "the answer.",
        fix="Write the answer, or an empty cell: frame.fillna('') in pandas.",
        severity="warning",
    ),
    "R117": Rule(
        title="a header among the images",
        why="Only a header spelt ID is told from data. Where run and truth share another, the official evaluators "
        "score it as an image that every run has right.",
        fix="Make the first line ID,CUIs or ID,Caption, in the run and in the truth.",
    ),
    "R118": Rule(
        title="ids of another year",
        why="The ids of the challenge name its year. Each year has images and rules of its own: a run of one year "
        "has no score on the truth of another, and its score by the rules of another is in no table.",
        fix="Give the run and the truth of one year; leave --edition out, and the ids choose the rules.",
    ),
    "R201": Rule(
        title="too many concepts for an image",
        why="The limit was 1286 in 2018 and is 100 since 2022; the evaluator refuses the file. The 2026 format check "
        "does not look at it, so that such a file passes the check and then fails.",
        fix="Keep the most probable concepts.",
    ),
    "R202": Rule(
        title="a concept appears twice for an image",
        why="Every evaluator refuses the file (after removing blanks, before looking at the case).",
        fix="Write each concept once.",
    ),
    "R203": Rule(
        title="an empty concept",
        why="A trailing ';' or ';;' adds the empty string to the set, which counts as a wrong concept: "
        "two right concepts score 0.8 instead of 1.",
        fix="Remove the extra ';'.",
        severity="warning",
    ),
    "R204": Rule(
        title="not a UMLS concept identifier",
        why="A concept is a C and digits, as in C0040405. Anything else can match nothing in the truth.",
        fix="Write CUIs, separated by ';'.",
        severity="warning",
    ),
    "R205": Rule(
        title="concepts that differ only in case",
        why="The evaluators look for duplicates before they compare in upper case, so that the pair passes and "
        "counts as one concept. The 2026 format check refuses lower case.",
        fix="Write CUIs in upper case, each once.",
        severity="warning",
    ),
    "R206": Rule(
        title="a row with an id alone",
        why="The evaluator of 2018 crashes if it is the first row; later ones give the image 0 even if its truth "
        "is empty, where an empty cell after the separator gives 1.",
        fix="Write the separator after the id: image_1,",
        severity="warning",
    ),
    "R207": Rule(
        title="blanks around concepts",
        why="In 2018 blanks were part of the concept, which then matches nothing.",
        fix="Remove the blanks.",
        severity="warning",
    ),
    "R208": Rule(
        title="concepts are not separated by ';'",
        why="A list, an object, quotes, commas or blanks make one long concept of all concepts of an image, which "
        "matches nothing in the truth.",
        fix="Join the concepts of an image with ';' and nothing else: ';'.join(concepts) in Python.",
    ),
    "R209": Rule(
        title="the answers are no concept identifiers",
        why="Concepts are compared by their CUI. Names and other codes match nothing in the truth.",
        fix="Write the CUI of each concept, such as C0040405 for CT; cui_mapping.csv has those of ROCOv2.",
    ),
    "R210": Rule(
        title="concept identifiers without their C and seven digits",
        why="A CUI is a C and seven digits. Whatever takes it for a number drops the C or the zeros after it, or "
        "puts too many back, and what is left matches nothing in the truth.",
        fix="Keep CUIs as text, or restore them: f'C{number:07}' in Python.",
    ),
    "R211": Rule(
        title="concepts in lower case",
        why="The evaluators compare in upper case, so that the score is right. The 2026 format check refuses lower "
        "case.",
        fix="Write CUIs in upper case.",
        severity="warning",
    ),
    "R301": Rule(
        title="an empty caption",
        why="In 2025 and 2026 AlignScore gets an empty list and the whole evaluation ends without a score, "
        "although the format check of 2026 lets the file pass.",
        fix="Write a caption for every image, or score with --lenient, which gives the image 0.",
    ),
    "R302": Rule(
        title="cells after the caption",
        why="A separator within a caption cuts it: the evaluators read up to it and ignore the rest.",
        fix="Put captions in double quotes and write a quote inside a caption twice; where an edition has no quotes "
        "(2017 to 2023), take the separator out of the caption.",
        severity="warning",
    ),
    "R303": Rule(
        title="caption and truth are both empty",
        why="Nothing is left of both after lower-casing, number and punctuation rules; the evaluators of 2023 to "
        "2026 crash then (TypeError, or a ROUGE ValueError).",
        fix="Organisers: leave the image out. --lenient scores it 1, as the evaluators' authors meant.",
    ),
    "R304": Rule(
        title="nothing is left of a caption",
        why="Without ASCII punctuation, and until 2022 without stop words, the caption is empty: no word of it can "
        "match, and BLEU, ROUGE and BERTScore are 0.",
        fix="Write words.",
        severity="warning",
    ),
    "R305": Rule(
        title="captions with marks of a program around them",
        why="Brackets, quotes, keys and the special tokens of a model become part of the caption, and metrics that "
        "read the caption as it is take them for words.",
        fix="Write the text of the caption alone.",
        severity="warning",
    ),
    "R306": Rule(
        title="the captions hold no words",
        why="Numbers and file names match nothing in the truth.",
        fix="Write a caption for each image in the second cell.",
    ),
    "R401": Rule(
        title="2026 check: rows in another order than the truth",
        why="The format check of 2026 wants the order of the ids as published; the evaluator itself does not.",
        fix="Sort the rows in the order of the published ids.",
    ),
    "R402": Rule(
        title="2026 check: header",
        why="The format check of 2026 wants exactly ID,CUIs or ID,Caption, and no byte order mark.",
        fix="Make the first line ID,CUIs or ID,Caption.",
    ),
    "R403": Rule(
        title="2026 check: blanks around an id or around the concept cell",
        why="The format check of 2026 refuses them.",
        fix="Remove the blanks.",
    ),
    "R404": Rule(
        title="2026 check: blank line",
        why="The format check of 2026 refuses any blank line after the first.",
        fix="Delete the line; put a caption on one line.",
    ),
    "R405": Rule(
        title="2026 check: not exactly two cells",
        why="The format check of 2026 refuses rows of one or of three and more cells.",
        fix="Write the id, a comma and one cell; quote captions that hold commas.",
    ),
    "R406": Rule(
        title="2026 check: malformed concepts",
        why="The format check of 2026 wants upper-case CUIs (C and digits), no empty one and no duplicate.",
        fix="Write C0040405;C0817096, each once, without ';' at the end.",
    ),
    "R407": Rule(
        title="2026 check: would be rejected without a fault",
        why="The format check of 2026 compares physical lines with CSV rows and mistakes a line break inside a "
        "caption, U+2028 or similar line separators, or a blank after the closing quote.",
        fix="Put the caption on one line, without special line separators, and end the line at the quote.",
        severity="warning",
    ),
    "R501": Rule(
        title="the truth cannot be used",
        why="A truth file needs one row for each image: an id and a cell, each id once. A caption with a comma "
        "outside quotes is cut there, as the official evaluators cut it.",
        fix="Mend that row, or name another file: a ROCOv2 dataset folder or one of its CSV files.",
    ),
    "R502": Rule(
        title="images of the truth without a concept",
        why="Since 2022 such an image scores 1 if the run's cell is empty and 0 otherwise; the branch of the "
        "official code that means to skip it is never reached. In 2018 it is skipped.",
        fix="Organisers: leave such images out of the test set.",
        severity="warning",
    ),
    "R504": Rule(
        title="the truth holds no answers",
        why="No run can be right where the truth is empty or holds something else than answers to the task: a score "
        "says nothing then.",
        fix="Organisers: mend the file. Everybody: name a ROCOv2 dataset folder.",
    ),
    "R505": Rule(
        title="the truth holds one image",
        why="A weight by idf is the logarithm of the number of references over those with the word: with one "
        "reference it is 0 for each of its words, and so is the score, by definition.",
        fix="Score more images at once.",
        severity="note",
    ),
    "R503": Rule(
        title="the manual truth lacks images",
        why="The official evaluator ends with a KeyError for the first of them.",
        fix="Give concepts_manual.csv a row for every image; the cell may be empty.",
    ),
    "R601": Rule(
        title="the JSON file does not follow its schema",
        why="Leaderboards read submission.json and result.json by their schema.",
        fix="Compare with rocov2_eval/schema/ and docs/formats.md.",
    ),
    "R602": Rule(
        title="the submission folder is not complete",
        why="A leaderboard reads <team>/<run>/ with submission.json and either run.csv or run.zip in it; names are "
        "letters, digits, '.', '_' and '-', at most 64.",
        fix="Name the folders so and put the two files there.",
    ),
    "R603": Rule(
        title="the metadata belongs to another submission",
        why="A submission.json that names another team or run would let one team speak for another.",
        fix="Let team and run name the two folders that the file lies in.",
    ),
    "R604": Rule(
        title="not a plain file or folder",
        why="A symbolic link, pipe or device could lead out of the submissions; none is followed or opened.",
        fix="Put the file itself there.",
    ),
    "R605": Rule(
        title="the run is not what it is handed in as",
        why="The run holds another task than its submission.json or the competition says, or answers another split.",
        fix="Hand in the right file, or correct task or split in submission.json.",
    ),
    "R606": Rule(
        title="the submission is for another edition",
        why="A board ranks the runs of one edition: others have another format, other limits and other scores.",
        fix="Name this edition in submission.json if the run is meant for it, or make a board of the other edition.",
    ),
    "R607": Rule(
        title="the name looks like that of another team or run",
        why="Readers, and file systems that ignore case, would take one for the other. The name that was on the board "
        "before stays; where none was, the organisers decide.",
        fix="Give the folder, and team or run in submission.json, a name of its own.",
    ),
}


def finding(
    code: str, path: str, line: int | None, message: str, *, severity: Severity | None = None
) -> Finding:
    """Return a finding of that rule, with the rule's own severity unless another is given."""
    return Finding(
        code=code, severity=severity or RULES[code].severity, path=path, line=line, message=message
    )


def findings(
    code: str,
    path: str,
    faults: Iterable[tuple[int | None, str]],
    *,
    severity: Severity | None = None,
    more: int = 0,
) -> Iterator[Finding]:
    """Yield a finding for each of the first (line, message), and a last one that counts the others.

    Args:
        code: Key of `RULES`.
        path: The file.
        faults: Line and message of each fault.
        severity: Severity where it is not that of the rule.
        more: How many faults there are beside `faults`, which nobody has to write a message for.
    """
    count = 0
    for count, (line, message) in enumerate(faults, start=1):
        if count <= MOST_PER_RULE:
            yield finding(code, path, line, message, severity=severity)
    more += max(count - MOST_PER_RULE, 0)
    if more:
        yield finding(code, path, None, f"{more:,} more of the same: {RULES[code].title}", severity=severity)


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order of the file: those of a rule together, the count of the others last."""
    found = list(found)
    first: dict[str, tuple[bool, int]] = {}
    for item in found:
        place = (item.line is None, item.line or 0)
        first[item.code] = min(first.get(item.code, place), place)
    return sorted(
        found,
        key=lambda item: (*first[item.code], item.code, item.line is None, item.line or 0),
    )


def explain(code: str) -> str:
    """Return the long text of a rule.

    Raises:
        KeyError: There is no such rule.
    """
    rule = RULES[code.upper()]
    return f"{code.upper()}  {rule.title} ({rule.severity})\n\nWhy: {rule.why}\n\nFix: {rule.fix}\n"


def is_rejected(found: Iterable[Finding]) -> bool:
    """Tell whether any finding keeps the file from being scored."""
    return any(item.severity == "error" for item in found)
