"""Record what each stage of the builder makes of a small build, for tests/golden/test_stage_outputs.py.

Usage: python tools/record_stage_outputs.py

A stage that makes something else of the same records must have a higher revision first: builds that are done
would keep what it made before.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/made"))
from stage_outputs import RECORDED, stage_outputs


def main() -> int:
    """Build, compare with what was recorded, and record."""
    before: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        outputs = stage_outputs(Path(folder))
    unraised = [
        name
        for name, now in outputs.items()
        if name in before
        and all(now[key] == before[name][key] for key in ("revision", "input"))
        and now["output"] != before[name]["output"]
    ]
    if unraised:
        print(f"raise Stage.revision first of: {', '.join(unraised)}", file=sys.stderr)
        return 1
    RECORDED.write_text(json.dumps(outputs, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
