"""See that the browser tests have a Chromium: install Debian's package where it is absent.

Usage: python tools/require_chromium.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    """Return 0 if there is a Chromium, or none can be had and nobody relies on the tests; else 1."""
    if any(map(shutil.which, NAMES)):
        return 0
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("installing Debian's chromium")
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True)
        return 0
    print("no Chromium here: the tests of the pages are skipped; install one as chromium or google-chrome")
    return 1 if os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())
