"""Write what the example submissions score: a result.json beside each run, and submissions/leaderboard.md.

Usage: python tools/write_results.py [--out FOLDER]    (needs the extra [offline] for BERTScore)

The environment is left out of each result.json: what is committed must not depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rocov2_eval.cli import invoke

ROOT = Path(__file__).resolve().parent.parent
SUBMISSIONS = Path("submissions")
TRUTH = Path("rocov2_eval/sample")
# No official weights travel with the repository: captions are ranked by ROUGE-1, and the result of the run
# has BERTScore by the stand-in, which says of itself that it is not official.
BOARD_METRICS = ("concept_f1", "concept_f1_manual", "rouge")


def main(arguments: list[str] | None = None) -> None:
    """Write all files below a folder, that of the repository unless another is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT)
    out = parser.parse_args(arguments).out.resolve()
    os.chdir(ROOT)  # paths in a result are as the command was given them
    for run in sorted(SUBMISSIONS.glob("*/*/run.csv")):
        target = out / run.with_name("result.json")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(result(run), indent=2) + "\n", encoding="utf-8")
    (out / SUBMISSIONS / "leaderboard.md").write_text(leaderboard(), encoding="utf-8")


def result(run: Path) -> dict[str, Any]:
    """Return what a run scores, but for the environment."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "result.json")
        words = ["score", str(run), "--truth", str(TRUTH), "--encoder", "minilm", "--no-cache", "--quiet"]
        _done([*words, "--format", "json", "--out", str(answer)])
        document: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return document | {"environment": {}}


def leaderboard() -> str:
    """Return the board of all example submissions."""
    with tempfile.TemporaryDirectory() as folder:
        site, store = Path(folder, "site"), Path(folder, "scores.sqlite3")
        # The truth of the sample comes with the package.
        words = [
            "leaderboard",
            str(SUBMISSIONS),
            "--truth",
            str(TRUTH),
            "--out",
            str(site),
            "--truth-retired",
        ]
        metrics = [word for name in BOARD_METRICS for word in ("--metric", name)]
        title = "Example submissions on the bundled sample"
        _done([*words, *metrics, "--rank-by", "rouge1", "--store", str(store), "--title", title, "--quiet"])
        text = (site / "leaderboard.md").read_text(encoding="utf-8")
        shutil.rmtree(site)
    return text


def _done(words: list[str]) -> None:
    code = invoke(words)
    if code:
        raise SystemExit(int(code))


if __name__ == "__main__":
    main()
