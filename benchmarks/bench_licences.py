"""What the licence gate decides for each real article of ../shared/data/jats, and by which words.

One line an article: decision, figures kept of all, and what each place in the XML says. Then the same
articles with their statement moved to where NLM 2.x has it, directly into `article-meta`: as many are kept.
"""

from __future__ import annotations

from collections import Counter

from lxml import etree
from measure import SHARED, machine

from dataset_builder.pmc.jats import read_article
from dataset_builder.stages.licence import LicenceOptions, decide, select


def main() -> None:
    """Print the decision of every article that has figures, and the counts."""
    print(machine())
    counts: Counter[str] = Counter()
    for path in sorted((SHARED / "jats").rglob("*.xml")):
        content = path.read_bytes()
        figures = read_article(content, path.name).figures
        if not figures:
            continue
        kept, drops = select(figures, LicenceOptions())
        verdict = decide(figures[0].licence.article)
        print(f"{path.name}: {verdict.code or verdict.reason}; {len(kept)}/{len(figures)}; {verdict.detail}")
        counts.update({"figures": len(figures), "kept": len(kept)})
        counts.update(drop.reason for drop in drops)
        earlier = read_article(_as_nlm_2(content), path.name).figures
        counts["kept as NLM 2.x"] += len(select(earlier, LicenceOptions())[0])
    print("; ".join(f"{name}: {number}" for name, number in counts.items()))


def _as_nlm_2(content: bytes) -> bytes:
    """Return an article whose statements stand directly in `article-meta`, its paragraphs in `<p>`."""
    root = etree.fromstring(content, etree.XMLParser(load_dtd=False, no_network=True, resolve_entities=False))
    for permissions in list(root.iterfind("front/article-meta/permissions")):
        for child in list(permissions):
            permissions.addprevious(child)
        permissions.getparent().remove(permissions)
    for paragraph in root.iter("license-p"):
        paragraph.tag = "p"
    return etree.tostring(root)


if __name__ == "__main__":
    main()
