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
        why="The path does not exist, is a folder, is too large, or you have no permission to open it.",
        fix="Check the path and its permissions. A run of 20,000 images has a few megabytes.",
    ),
    "R002": Rule(
        title="the file is not UTF-8",
        why="The evaluators stop at the first byte that is not UTF-8.",
        fix="Save the text as UTF-8. For Western Windows text: iconv -f cp1252 -t utf-8 run.csv > "
        "run.utf8.csv",
    ),
    "R003": Rule(
        title="the file has no rows",
        why="Every evaluator requires one row per test image. Those of 2025 and 2026 crash on an empty "
        "caption file.",
        fix="Write one row per image.",
    ),
    "R004": Rule(
        title="the zip archive is not a submission",
        why="The platform accepts a zip archive with one CSV file.",
        fix="Put only the CSV file in the archive: zip run.zip run.csv",
    ),
    "R005": Rule(
        title="the CSV cannot be parsed to its end",
        why="Python's csv module, which every evaluator uses, fails at this line. Most often a quote is not closed, and "
        "the cell has more than 131,072 characters.",
        fix="Close the quote, or write a quote within a quoted cell twice.",
    ),
    "R006": Rule(
        title="the file starts with a byte order mark",
        why="It becomes part of the first cell: the first image id or the header is then unknown. The "
        "caption evaluators of 2025 and 2026 crash.",
        fix="Save as UTF-8 without a byte order mark, or remove it: sed -i '1s/^\\xEF\\xBB\\xBF//' run.csv",
    ),
    "R007": Rule(
        title="the task cannot be detected",
        why="The file has neither a header ID,CUIs or ID,Caption nor cells that look like concepts.",
        fix="Add --task concepts or --task captions.",
    ),
    "R008": Rule(
        title="the file is not in the format of the edition",
        why="The platform accepts only the format of its edition. `score` and `validate` convert other "
        "files; the result is not official.",
        fix="Convert it: rocov2-eval convert RUN -o run.csv --edition EDITION. Or select its own edition "
        "with --edition.",
    ),
    "R009": Rule(
        title="a list without articles",
        why="A list of articles has one PMCID per line, or a header with the expected columns. A list of figures has "
        "columns of PMCIDs and file names. This file has no such column, or no row.",
        fix="Use the right file, or rename its columns. Some commands have options for the names.",
    ),
    "R010": Rule(
        title="the file is of another kind",
        why="A run is a table of ids and answers. This file is a workbook, an archive or another binary "
        "file.",
        fix="Follow the message of the finding. `rocov2-eval convert` reads CSV, JSON, JSON Lines and "
        "Parquet.",
    ),
    "R011": Rule(
        title="the file cannot be read as JSON or Parquet",
        why="It is damaged or incomplete, or it contains something other than ids and answers.",
        fix='Write records, {"image_id": …, "caption": …}, one per line (.jsonl) or as one list.',
    ),
    "R012": Rule(
        title="the columns of ids and answers are not found",
        why="No column, or more than one, has a known name such as ID, image_id, CUIs or caption.",
        fix="Name them: --id-column NAME --value-column NAME.",
    ),
    "R020": Rule(
        title="the answers belong to the other task",
        why="Captions and concepts cannot match each other.",
        fix="Use the file of this task, or select the task of the file with --task.",
    ),
    "R021": Rule(
        title="ids and answers are swapped",
        why="Every evaluator reads the first cell as the id and the second as the answer.",
        fix="Write the id first, then the answer.",
    ),
    "R022": Rule(
        title="each row is one quoted cell",
        why="Quotes around a whole row make one cell of id and answer. Most often a CSV writer received "
        "finished rows.",
        fix="Write id and answer as two cells: writer.writerow([image_id, answer]).",
    ),
    "R023": Rule(
        title="nearly all images have the same answer",
        why="This is correct for a simple baseline. Otherwise a loop repeats its first answer, or a model "
        "has collapsed.",
        fix="Check some answers before you submit the run.",
        severity="note",
    ),
    "R024": Rule(
        title="the answers are those of the truth",
        why="The score is then the best possible one. This is useful only to test an installation.",
        fix="Use the run that your method wrote.",
        severity="note",
    ),
    "R101": Rule(
        title="a blank line",
        why="The evaluators of 2018 and 2022 report a wrong format. Those since 2023 crash with an "
        "IndexError.",
        fix="Delete the line. The file must end with the newline of its last row.",
    ),
    "R102": Rule(
        title="a row with the wrong number of cells",
        why="A concept row has an id and one cell of concepts. A caption row has an id and a caption.",
        fix="Separate concepts by ';'. Put a caption with the separator in double quotes.",
    ),
    "R103": Rule(
        title="an image id appears twice",
        why="Every evaluator refuses the file.",
        fix="Keep one row per image.",
    ),
    "R104": Rule(
        title="an image id is not in the truth",
        why="Every evaluator refuses the file. A space, a file extension or another case makes a different "
        "id.",
        fix="Use the ids of the test set, without '.jpg' and without spaces.",
    ),
    "R105": Rule(
        title="images of the truth are missing",
        why="Every evaluator requires all ids of the truth. `score --lenient` counts a missing image as 0; the result "
        "is not official.",
        fix="Add a row for each missing image. An empty concept cell is allowed.",
    ),
    "R106": Rule(
        title="an image id contains the capital letters ID",
        why="The concept evaluators since 2023 and the caption evaluators of 2023 and 2024 skip such rows "
        "as headers. The image is not scored, without any message.",
        fix="Organisers: choose ids without the letters ID. Participants cannot change it.",
        severity="warning",
    ),
    "R107": Rule(
        title="the header is missing",
        why="The caption evaluators of 2025 and 2026 read the first row as the header and then miss an "
        "image.",
        fix="Make the first line ID,Caption.",
    ),
    "R108": Rule(
        title="the header is not spelt ID",
        why="The evaluators of 2023 and 2024 and all concept evaluators read a header 'id' as an unknown "
        "image.",
        fix="Write the header ID,CUIs or ID,Caption.",
        severity="warning",
    ),
    "R109": Rule(
        title="a header where the edition has none",
        why="The evaluators of 2018 and 2022 read the header as an unknown image.",
        fix="Delete the first line.",
    ),
    "R110": Rule(
        title="a cell that a spreadsheet would run as a formula",
        why="A spreadsheet program would execute it. Here it is scored as text, and our tables put a mark "
        "before it.",
        fix="Remove it, unless it is intended.",
        severity="warning",
    ),
    "R111": Rule(
        title="a cell with HTML",
        why="Metrics read tags as words. Our pages show them as text.",
        fix="Write the caption without tags.",
        severity="warning",
    ),
    "R112": Rule(
        title="NUL bytes",
        why="The file is damaged or not text. The csv module before Python 3.11 stops at a NUL byte; later "
        "versions read it as a character.",
        fix="Write the file again as UTF-8 text.",
        severity="warning",
    ),
    "R113": Rule(
        title="a row of a list cannot be read",
        why="If it were skipped, an article or a figure could be lost.",
        fix="Write a PMCID as PMC and at most 12 digits, a file name without its folder, and as many cells as the "
        "header has. Put a cell with the separator in double quotes.",
    ),
    "R114": Rule(
        title="ids differ from those of the truth in one way",
        why="A file extension, a folder, a space, another case or an invisible character makes a different id. Every "
        "evaluator refuses the file.",
        fix="Write the ids exactly as in the truth.",
    ),
    "R115": Rule(
        title="ids of another split",
        why="The run answers other images than those of the truth.",
        fix="Select the split of the run with --split, or use the run of this split.",
    ),
    "R116": Rule(
        title="a word for a missing value",
        why="pandas and Python write nan, None or null for a missing value. Evaluators read the word as the "
        "answer.",
        fix="Write the answer, or an empty cell: frame.fillna('') in pandas.",
        severity="warning",
    ),
    "R117": Rule(
        title="a header is scored as an image",
        why="Only a header ID is recognised. If run and truth share another one, the official evaluators score it as "
        "an image with a right answer.",
        fix="Make the first line ID,CUIs or ID,Caption, in the run and in the truth.",
    ),
    "R118": Rule(
        title="ids of another year",
        why="The ids contain the year of the challenge. Each year has its own images and rules; scores by "
        "those of another year are not comparable.",
        fix="Use a run and a truth of the same year, without --edition: the ids select the rules.",
    ),
    "R201": Rule(
        title="too many concepts for an image",
        why="The limit is 1286 in 2018 and 100 since 2022; the evaluator refuses the file. The format check of 2026 "
        "accepts it, and the evaluation then fails.",
        fix="Keep the most probable concepts.",
    ),
    "R202": Rule(
        title="a concept appears twice for an image",
        why="Every evaluator refuses the file. Spaces around a concept are ignored, the case is not.",
        fix="Write each concept once.",
    ),
    "R203": Rule(
        title="an empty concept",
        why="A surplus ';' adds an empty concept, which is a false positive: two right concepts score 0.8 "
        "instead of 1.",
        fix="Remove the surplus ';'.",
        severity="warning",
    ),
    "R204": Rule(
        title="not a UMLS concept identifier",
        why="A CUI is a C and digits, such as C0040405. Nothing else matches the truth.",
        fix="Write CUIs, separated by ';'.",
        severity="warning",
    ),
    "R205": Rule(
        title="concepts that differ only in case",
        why="The evaluators accept the two and count them as one concept. The format check of 2026 refuses "
        "lower case.",
        fix="Write CUIs in upper case, each once.",
        severity="warning",
    ),
    "R206": Rule(
        title="a row with only an id",
        why="In 2018 such a first row crashes the evaluator. Since 2022 the image scores 0 even if its "
        "truth is empty; with an empty cell it would score 1.",
        fix="Write the separator after the id: image_1,",
        severity="warning",
    ),
    "R207": Rule(
        title="spaces around concepts",
        why="Until 2021 spaces are part of the concept, which then matches nothing.",
        fix="Remove the spaces.",
        severity="warning",
    ),
    "R208": Rule(
        title="concepts are not separated by ';'",
        why="Lists, objects, quotes, commas or spaces make one long concept, which matches nothing.",
        fix="Join the concepts of an image by ';' only: ';'.join(concepts) in Python.",
    ),
    "R209": Rule(
        title="the answers are not concept identifiers",
        why="Concepts are compared by their CUI. Names and other codes match nothing.",
        fix="Write the CUI of each concept, such as C0040405 for CT. cui_mapping.csv contains those of "
        "ROCOv2.",
    ),
    "R210": Rule(
        title="concept identifiers without their C and seven digits",
        why="A CUI is a C and seven digits. Programs that read it as a number remove the C or the zeros, or add too "
        "many zeros. The result matches nothing.",
        fix="Keep CUIs as text, or restore them: f'C{number:07}' in Python.",
    ),
    "R211": Rule(
        title="concepts in lower case",
        why="The score is right, because the evaluators compare in upper case. The format check of 2026 "
        "refuses the file.",
        fix="Write CUIs in upper case.",
        severity="warning",
    ),
    "R301": Rule(
        title="an empty caption",
        why="In 2025 and 2026 AlignScore fails on it, and the whole evaluation ends without a score. The format check "
        "of 2026 accepts the file.",
        fix="Write a caption for every image, or score with --lenient, which gives the image 0.",
    ),
    "R302": Rule(
        title="cells after the caption",
        why="A separator within a caption cuts it: the evaluators ignore the rest.",
        fix="Put captions in double quotes, and write a quote within a caption twice. Editions without quotes (2017 to "
        "2023): remove the separator from the caption.",
        severity="warning",
    ),
    "R303": Rule(
        title="caption and truth are both empty",
        why="Nothing remains of both after normalisation. The evaluators of 2023 to 2026 then crash (TypeError, or "
        "ValueError in ROUGE).",
        fix="Organisers: remove the image. --lenient scores it 1, as the authors of the evaluators intended.",
    ),
    "R304": Rule(
        title="a caption without words",
        why="Nothing remains without ASCII punctuation and, until 2022, stop words. BLEU, ROUGE and "
        "BERTScore are 0.",
        fix="Write words.",
        severity="warning",
    ),
    "R305": Rule(
        title="captions with brackets, quotes or tokens of a program",
        why="They become part of the caption. Metrics that read the raw caption count them as words.",
        fix="Write only the text of the caption.",
        severity="warning",
    ),
    "R306": Rule(
        title="the captions have no words",
        why="Numbers and file names match nothing in the truth.",
        fix="Write a caption for each image in the second cell.",
    ),
    "R401": Rule(
        title="2026 check: rows in another order than the truth",
        why="The check requires the order of the published ids; the evaluator does not.",
        fix="Sort the rows in the order of the published ids.",
    ),
    "R402": Rule(
        title="2026 check: header",
        why="The check requires exactly ID,CUIs or ID,Caption, without a byte order mark.",
        fix="Make the first line ID,CUIs or ID,Caption.",
    ),
    "R403": Rule(
        title="2026 check: spaces around an id or around the concept cell",
        why="The check refuses them.",
        fix="Remove the spaces.",
    ),
    "R404": Rule(
        title="2026 check: blank line",
        why="The check refuses any blank line after the first line.",
        fix="Delete the line. Write a caption on one line.",
    ),
    "R405": Rule(
        title="2026 check: not exactly two cells",
        why="The check refuses other rows.",
        fix="Write the id, a comma and one cell. Put captions with commas in double quotes.",
    ),
    "R406": Rule(
        title="2026 check: malformed concepts",
        why="The check requires CUIs in upper case (C and digits), none empty and none twice.",
        fix="Write C0040405;C0817096, each once, without ';' at the end.",
    ),
    "R407": Rule(
        title="2026 check: a correct file would be rejected",
        why="The check compares lines with CSV rows. It fails on a line break within a caption, on "
        "U+2028 and similar line separators, and on a space after the closing quote.",
        fix="Write the caption on one line, without special line separators, and end the line at the quote.",
        severity="warning",
    ),
    "R501": Rule(
        title="the truth cannot be used",
        why="A truth file has one row per image: an id and a cell, each id once. A comma without quotes cuts a "
        "caption, as in the official evaluators.",
        fix="Correct that row, or name another file: a ROCOv2 dataset folder or one of its CSV files.",
    ),
    "R502": Rule(
        title="images of the truth without a concept",
        why="Until 2021 they are skipped. Since 2022 they score 1 if the cell of the run is empty, else 0.",
        fix="Organisers: remove such images from the test set.",
        severity="warning",
    ),
    "R503": Rule(
        title="the manual truth lacks images",
        why="The official evaluator stops with a KeyError at the first of them.",
        fix="Add a row for every image to concepts_manual.csv. The cell may be empty.",
    ),
    "R504": Rule(
        title="the truth has no answers",
        why="The truth is empty or contains something other than answers to the task. The score has no "
        "meaning.",
        fix="Organisers: correct the file. Others: use a ROCOv2 dataset folder with --truth.",
    ),
    "R505": Rule(
        title="the truth has one image",
        why="With one reference, the idf weight of each word, and so the score, is 0 by definition.",
        fix="Score more images at once.",
        severity="note",
    ),
    "R601": Rule(
        title="the JSON file does not follow its schema",
        why="Leaderboards read submission.json and result.json by their schemas.",
        fix="Compare with rocov2_eval/schema/ and docs/formats.md.",
    ),
    "R602": Rule(
        title="the submission folder is not complete",
        why="A leaderboard reads <team>/<run>/ with submission.json and run.csv or run.zip. Names have letters, "
        "digits, '.', '_' and '-', at most 64.",
        fix="Rename the folders, and put the two files there.",
    ),
    "R603": Rule(
        title="the metadata belongs to another submission",
        why="With such a submission.json one team could submit in the name of another.",
        fix="Write the names of the two folders as team and run.",
    ),
    "R604": Rule(
        title="not a plain file or folder",
        why="A symbolic link, pipe or device could lead outside the submissions. It is not opened.",
        fix="Put the file itself there.",
    ),
    "R605": Rule(
        title="the run has another task or split than stated",
        why="The run has another task than submission.json or the competition, or answers another split.",
        fix="Submit the right file, or correct task or split in submission.json.",
    ),
    "R606": Rule(
        title="the submission is for another edition",
        why="A board ranks runs of one edition: others have another format, other limits and other scores.",
        fix="Correct the edition in submission.json, or make a board of the other edition.",
    ),
    "R607": Rule(
        title="the name looks like that of another team or run",
        why="Readers, and file systems that ignore case, would confuse the two. The name that was on the board first "
        "remains. If none was, the organisers decide.",
        fix="Choose another name for the folder, and for team or run in submission.json.",
    ),
    "R608": Rule(
        title="the run is late, or its time of upload is not known",
        why="board.toml names a deadline: a run counts if its submitted_at is not later.",
        fix="Ask the organisers, who can write the time of the upload into board.toml.",
    ),
    "R609": Rule(
        title="the team has more runs than the board allows",
        why="board.toml limits the runs of a team in each task. The first ones by submitted_at count. Withdrawn and "
        "disqualified runs count too: the team knew their scores.",
        fix="Ask the organisers which runs count.",
    ),
    "R610": Rule(
        title="the board does not rank this task",
        why="The organisers have no truth of this task, or their machine lacks a model that its scores need.",
        fix="Hand in a run of a task of this board, and name that task in submission.json.",
    ),
    "R611": Rule(
        title="the run has no score to rank by",
        why="The edition leaves images out of a mean for some answers. It left out all images of this run.",
        fix="Check the answers of the run: most of them are empty.",
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
