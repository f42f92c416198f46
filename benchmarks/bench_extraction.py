"""Concepts of real captions: how fast, how many, how near to the truth, and what each setting does.

The pack is built of the names of three open ontologies (UBERON, Disease Ontology, Symptom Ontology) and the
everyday names of the 18 concepts curated by hand. The truth are the CUIs of ROCO version 1. They are noisy:
made by another program with all of UMLS, 8.4 an image, with several meanings of one word side by side
(C0376152, C1546708, C0771936 and C1837463 go together in every sixth image). So F1 ranks what is compared
here, and is no measure of quality by itself. Most of these CUIs are in no open ontology: beside the figure
against all of them stands the one against those that the pack knows, over the images that have any.

The ontologies tell no semantic types, so that in a pack of the documented command the default filter removes
nothing. Each ontology is given one type here (`TYPE_OF`), so that the filter has something to do.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measure import SHARED, machine, seconds, table

from dataset_builder.concepts.caption_shards import PAYING, SHARD, extract_files
from dataset_builder.concepts.concept_names import (
    ConceptName,
    name_key,
    read_concept_table,
    ready,
    with_everyday_names,
)
from dataset_builder.concepts.extraction import ExtractionOptions, extract_concepts, open_extractor
from dataset_builder.concepts.model_pack import (
    DEFAULT_SETTINGS,
    PackSettings,
    PackSummary,
    build_pack,
)
from dataset_builder.concepts.plurals import with_plurals
from rocov2_eval.align import concept_sets
from rocov2_eval.editions import MODALITY_CUIS
from rocov2_eval.metrics.concept_f1 import ConceptF1Options, score

NAMES = SHARED / "concepts" / "cui_names_open_ontologies.csv"
TARGET_RATE, TARGET_GAIN = 6000, 1.6  # captions per second of one worker; two workers over one
TYPE_OF = {"UBERON CC BY 3.0": "T023", "DO CC BY 3.0": "T047", "SYMP CC0": "T184"}
# Where MedCAT 2.9 does otherwise by itself.
MEDCAT_DEFAULTS: Mapping[str, Any] = {
    "min_name_len": 3,
    "upper_case_limit_len": 4,
    "check_upper_case_names": False,
    "disamb_length_limit": 3,
    "spell_check": True,
    "plurals": False,
}
KNOWN_TRUTH = ConceptF1Options(empty_reference="unscored")

Concepts = list[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Captions with their truth, and names to find.

    Attributes:
        captions: The texts.
        truth: CUIs of each caption, joined by `;`.
        names: Those of the ontologies, with types, and the everyday ones.
        typed: Those of the ontologies, with types.
        bare: Those of the ontologies, as they are.
    """

    captions: list[str]
    truth: list[str]
    names: list[ConceptName]
    typed: list[ConceptName]
    bare: list[ConceptName]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=8, help="times the captions, for the speed")
    arguments = parser.parse_args()
    data = real_data()
    print(machine(), "\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pack = folder / "ours.zip"
        print_pack(data, pack, folder)
        print_speed(data, pack, folder, arguments.repeat)
        print_quality(data, pack, folder)


def real_data() -> Data:
    """Return the captions of ROCO, and the names with a type for each ontology."""
    captions, truth = (column(name) for name in ("captions.csv", "concepts.csv"))
    bare = list(read_concept_table(NAMES))
    typed = [replace(row, types=(TYPE_OF[row.source],)) for row in bare]
    return Data(
        captions=captions, truth=truth, names=list(with_everyday_names(typed)), typed=typed, bare=bare
    )


def print_pack(data: Data, pack: Path, folder: Path) -> None:
    """Build the pack that all is measured with, and print what it holds and which types it tells."""
    summaries: list[PackSummary] = []
    build_time = seconds(lambda: summaries.append(build_pack(data.names, pack)))
    (summary,) = summaries
    print(
        f"Names of {len({row.cui for row in data.names}):,} concepts. The pack holds {summary.concepts:,} "
        f"of them, built in {build_time:.1f} s; {len(summary.nameless):,} are left without a name of their "
        f"own.\n"
    )
    documented = build_pack(with_everyday_names(data.bare), folder / "documented.zip")
    types = ", ".join(f"{tui} for {source}" for source, tui in TYPE_OF.items())
    print(
        f"The ontologies tell no semantic types: of the {documented.concepts:,} concepts of the pack that "
        f"`concepts model` makes of them {documented.untyped:,} have none, and the default filter removes "
        f"nothing. For this benchmark each ontology is given one type: {types}. What the filter does here is "
        f"what these types make it do.\n"
    )


def column(name: str) -> list[str]:
    """Return the second column of a table of ROCO."""
    with (SHARED / "roco" / name).open(encoding="utf-8", newline="") as file:
        return [cells[1] for cells in list(csv.reader(file))[1:]]


def print_speed(data: Data, pack: Path, folder: Path, repeat: int) -> None:
    """Print captions per second, file to CSV, with one worker and with two."""
    print("### Speed, from the file of captions to lines of CSV\n")
    many = captions_file(folder / "many.csv", data.captions * repeat)
    few = captions_file(folder / "few.csv", data.captions[:1] * (SHARD + 1))  # two shards: a worker each
    n = len(data.captions) * repeat
    rows, rates = [], []
    for jobs in (1, 2):
        start_up = extraction_time(few, pack, jobs)
        whole = min(extraction_time(many, pack, jobs) for _ in range(2))
        after = n / (whole - start_up)
        rates.append((n / whole, after))
        rows.append([f"{jobs}", f"{n:,}", f"{start_up:.1f} s", f"{n / whole:,.0f}", f"{after:,.0f}"])
    print(
        table(["workers", "captions", "start-up", "captions/s, all in", "captions/s, after the start"], rows)
    )
    (one, one_after), (two, two_after) = rates
    print(
        f"One worker: {one:,.0f} captions/s all in ({verdict(one, TARGET_RATE)}), {one_after:,.0f} after the "
        f"start ({verdict(one_after, TARGET_RATE)}); the target is {TARGET_RATE:,}.\n"
        f"Two workers over one, with {n:,} captions: {two / one:.2f}x over the whole command "
        f"({verdict(two / one, TARGET_GAIN)}), {two_after / one_after:.2f}x after the start "
        f"({verdict(two_after / one_after, TARGET_GAIN)}); the target is {TARGET_GAIN}x.\n"
    )
    once = captions_file(folder / "once.csv", data.captions)
    took = [min(extraction_time(once, pack, jobs) for _ in range(2)) for jobs in (1, 2)]
    print(
        f"With {len(data.captions):,} captions one worker takes {took[0]:.1f} s, two take {took[1]:.1f} s; "
        f"by itself the command starts another for every {PAYING:,} captions.\n"
    )
    with open_extractor(pack) as extractor:
        alone = min(seconds(lambda: extractor.extract(data.captions)) for _ in range(3))
    print(f"MedCAT alone, in this process: {len(data.captions) / alone:,.0f} captions/s.\n")


def verdict(value: float, target: float) -> str:
    """Return whether a target is met."""
    return "met" if value >= target else "not met"


def extraction_time(captions: Path, pack: Path, jobs: int) -> float:
    """Return the seconds from a file of captions to lines of CSV."""
    return seconds(lambda: extract_files([captions], pack, ExtractionOptions(), workers=jobs))


def captions_file(path: Path, captions: Sequence[str]) -> Path:
    """Write captions as a file of a dataset."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ID", "Caption"])
        writer.writerows([f"i{i}", caption] for i, caption in enumerate(captions))
    return path


def print_quality(data: Data, pack: Path, folder: Path) -> None:
    """Print coverage and F1 of ours, of the baselines, and with each setting changed."""
    print("### Coverage and F1 against the noisy CUIs of ROCO version 1\n")
    known = known_to(pack)
    outcomes = {"ours": found(pack, data.captions, ExtractionOptions()), **baselines(data, folder)}
    for setting, value in MEDCAT_DEFAULTS.items():
        settings = replace(DEFAULT_SETTINGS, **{setting: value})
        outcomes[f"ours, {setting} = {value}"] = rebuilt(data, folder, settings)
    ontologies = replace(data, names=data.typed)
    outcomes["ours, no everyday names"] = rebuilt(ontologies, folder, DEFAULT_SETTINGS)
    outcomes["ours, every type"] = found(pack, data.captions, ExtractionOptions(types=()))
    outcomes["ours, every type, nested mentions kept"] = all_mentions(pack, data.captions)
    header = [
        "",
        "with a concept",
        "with a modality",
        "concepts a caption",
        "F1, all CUIs",
        "F1",
        "precision",
        "recall",
    ]
    print(table(header, [quality(name, concepts, data, known) for name, concepts in outcomes.items()]))
    print(
        f"The last three columns: against the {len(known):,} CUIs that our pack knows, over the images that "
        f"have any of them."
    )


def known_to(pack: Path) -> set[str]:
    """Return the CUIs that a pack can find."""
    with open_extractor(pack) as extractor:
        return set(extractor.cat.cdb.cui2info)


def baselines(data: Data, folder: Path) -> dict[str, Concepts]:
    """Return what others find with the same names."""
    return {
        "baseline: dictionary, longest match": dictionary(data.names, data.captions),
        "baseline: dictionary with our plurals": dictionary(with_plurals(data.names), data.captions),
        "baseline: MedCAT's defaults": rebuilt(data, folder, replace(DEFAULT_SETTINGS, **MEDCAT_DEFAULTS)),
    }


def rebuilt(data: Data, folder: Path, settings: PackSettings) -> Concepts:
    """Return what a pack of other settings finds."""
    pack = folder / "other.zip"
    build_pack(data.names, pack, settings)
    return found(pack, data.captions, ExtractionOptions())


def found(pack: Path, captions: Sequence[str], options: ExtractionOptions) -> Concepts:
    """Return the concepts of captions."""
    with open_extractor(pack) as extractor:
        return [outcome.cuis for outcome in extract_concepts(captions, extractor, options)]


def all_mentions(pack: Path, captions: Sequence[str]) -> Concepts:
    """Return the concepts of all mentions, those within others too."""
    with open_extractor(pack) as extractor:
        return [tuple(dict.fromkeys(one.cui for one in mentions)) for mentions in extractor.extract(captions)]


def dictionary(names: Iterable[ConceptName], captions: Sequence[str]) -> Concepts:
    """Return the concepts of captions as a plain trie of words finds them: the longest name at each place.

    A name of several concepts goes to the one that our pack gives it to.
    """
    trie: dict[str, Any] = {}
    cui_of: dict[str, str] = {}
    for row in ready(names):
        key = name_key(row.name)
        cui_of.setdefault(key, row.cui)
        node = trie
        for word in key.split("~"):
            node = node.setdefault(word, {})
    return [
        tuple(dict.fromkeys(cui_of[key] for key in matches(name_key(text).split("~"), trie, cui_of)))
        for text in captions
    ]


def matches(words: Sequence[str], trie: dict[str, Any], cui_of: dict[str, str]) -> Iterable[str]:
    """Yield the names in words from left to right, none within another."""
    place = 0
    while place < len(words):
        node, best, end = trie, "", place
        for ahead in range(place, len(words)):
            if words[ahead] not in node:
                break
            node = node[words[ahead]]
            key = "~".join(words[place : ahead + 1])
            if key in cui_of:
                best, end = key, ahead
        if best:
            yield best
        place = end + 1


def quality(name: str, concepts: Concepts, data: Data, known: set[str]) -> list[str]:
    """Return a line of the table."""
    cells = [";".join(cuis) for cuis in concepts]
    within = [";".join(cui for cui in cell.split(";") if cui in known) for cell in data.truth]
    ours, truth, known_truth = concept_sets(cells, data.truth, within)
    everything = score(ours, truth)
    restricted = score(ours, known_truth, KNOWN_TRUTH)
    n = len(cells)
    return [
        name,
        f"{sum(map(bool, cells)) / n:.1%}",
        f"{sum(not MODALITY_CUIS.keys().isdisjoint(cuis) for cuis in concepts) / n:.1%}",
        f"{sum(map(len, concepts)) / n:.2f}",
        mean(everything["concept_f1"].mean),
        *(mean(restricted[output].mean) for output in ("concept_f1", "concept_precision", "concept_recall")),
    ]


def mean(value: float | None) -> str:
    """Return a score for the table."""
    return "none" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    main()
