"""Hooks of MkDocs: pages from outside `docs/`, and links between files of the repository as its links.

The pages are written for the repository, where each link is a path between files. On the site, a link to
another page becomes a link to its place there. A link to a file that the site does not have becomes text, or
a link to `repo_url` if mkdocs.yml has one. The page of the Python API gets every public name of the package.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import rocov2_eval

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "benchmarks/RESULTS.md": "project/results.md",
    "submissions/README.md": "project/submissions.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")
CELL = re.compile(r"<td[^>]*>.*?</td>", re.DOTALL)
_log = logging.getLogger("mkdocs.hooks.site_pages")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside `docs/`."""
    for source, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links of the site, and fill the page of the API."""
    place = page.file.src_uri
    origin = next((source for source, there in OUTSIDE.items() if there == place), f"docs/{place}")

    def on_site(link: re.Match[str]) -> str:
        text, path, anchor = link[1], link[2], link[3] or ""
        target = os.path.normpath(PurePosixPath(origin).parent / path)
        if not (ROOT / target).exists():
            _log.warning("%s has a link to %s, which does not exist", origin, path)
        there = OUTSIDE.get(target, target.removeprefix("docs/") if target.startswith("docs/") else "")
        if there and files.get_file_from_path(there):
            return f"[{text}]({os.path.relpath(there, PurePosixPath(place).parent)}{anchor})"
        return f"[{text}]({config.repo_url}/blob/main/{target})" if config.repo_url else text

    if place == "api.md":
        markdown += "".join(f"\n::: rocov2_eval.{name}\n" for name in _public_names())
    return LINK.sub(on_site, markdown)


def on_page_content(html: str, **_context: object) -> str:
    r"""Show `\|` in a cell as GitHub does: Python-Markdown keeps the backslash within code."""
    return CELL.sub(lambda cell: cell[0].replace("\\|", "|"), html)


def _public_names() -> list[str]:
    """Return the public names of the package, functions first."""
    return sorted(rocov2_eval.__all__, key=lambda name: (name[0].isupper(), name))
