"""Score a submission in the platform's container: install the wheels beside this file, then call rocov2-eval.

Usage: python3 score.py INPUT OUTPUT [OPTIONS of rocov2-eval score]

Needs nothing but Python and its pip; opens no connection.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Detailed results</title><p>{}</p></html>\n'
)
NOT_INSTALLED = "The scoring program could not be installed. See the log of this submission."


def main() -> int:
    """Return the exit code of the scoring, or that of an installation that failed."""
    output = Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as site:
        code = install(site)
        if code:
            output.mkdir(parents=True, exist_ok=True)
            (output / "scores.json").unlink(missing_ok=True)
            (output / "detailed_results.html").write_text(PAGE.format(NOT_INSTALLED), encoding="utf-8")
            return code
        # -S and -P: what was installed here and the standard library, nothing else that may lie around.
        command = [sys.executable, "-S", "-P", "-m", "rocov2_eval.cli", "score", "--codabench"]
        environment = {**os.environ, "PYTHONPATH": site}
        return subprocess.call([*command, *sys.argv[1:]], env=environment)


def install(site: str) -> int:
    """Install the wheels to a folder; return the exit code of pip."""
    wheels = Path(__file__).resolve().parent / "wheels"
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--quiet"]
    pip += ["--no-index", "--no-cache-dir", "--no-compile", "--root-user-action=ignore"]
    return subprocess.call([*pip, "--find-links", str(wheels), "--target", site, "rocov2-eval"])


if __name__ == "__main__":
    sys.exit(main())
