"""Concepts of real captions: how fast, how many, how near to the truth, and what each setting does.

The pack is built of the names of three open ontologies (UBERON, Disease Ontology, Symptom Ontology) and the
everyday names of the 18 concepts curated by hand. The truth are the CUIs of ROCO version 1. They are noisy:
made by another program with all of UMLS, 8.4 an image, with several meanings of one word side by side
(C0376152, C1546708, C0771936 and C1837463 go together in every sixth image). So F1 ranks what is compared
here, and is no measure of quality by itself. Most of these CUIs are in no open ontology: beside the figure
against all of them stands the one against those that the pack knows, over the images that have any.

The ontologies tell no semantic types; each is given one here, so that the filter has something to do.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from measure import SHARED, machine, seconds, table

from dataset_builder.concepts.caption_shards import SHARD, extract_files
from dataset_builder.concepts.concept_names import ConceptName, name_key, read_concept_table, ready
from dataset_builder.concepts.everyday_names import with_everyday_names
from dataset_builder.concepts.extraction import ExtractionOptions, extract_concepts, open_extractor
from dataset_builder.concepts.model_pack import DEFAULT_SETTINGS, MEDCAT_DEFAULTS, PackSettings, build_pack
from dataset_builder.concepts.name_variants import with_joined, with_plurals
from rocov2_eval.align import concept_sets
from rocov2_eval.editions import MODALITY_CUIS
from rocov2_eval.metrics.concept_f1 import ConceptF1Options, score

NAMES = SHARED / "concepts" / "cui_names_open_ontologies.csv"
TYPE_OF = {"UBERON CC BY 3.0": "T023", "DO CC BY 3.0": "T047", "SYMP CC0": "T184"}
KNOWN_TRUTH = ConceptF1Options(empty_reference="unscored")

Concepts = list[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Captions with their truth, and the names to find."""

    captions: list[str]
    truth: list[str]
    names: list[ConceptName]
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
        build_time = seconds(lambda: build_pack(data.names, pack))
        print(f"Pack: {len({row.cui for row in data.names}):,} concepts, built in {build_time:.1f} s.\n")
        print_speed(data, pack, folder, arguments.repeat)
        print_quality(data, pack, folder)


def real_data() -> Data:
    """Return the captions of ROCO, and the names with a type for each ontology."""
    captions, truth = (column(name) for name in ("captions.csv", "concepts.csv"))
    given = [
        replace(row, types=(TYPE_OF[row.source],)) if row.source in TYPE_OF else row
        for row in read_concept_table(NAMES)
    ]
    return Data(captions=captions, truth=truth, names=list(with_everyday_names(given)), bare=given)


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
        rates.append(n / whole)
        after = n / (whole - start_up)
        rows.append([f"{jobs}", f"{n:,}", f"{start_up:.1f} s", f"{n / whole:,.0f}", f"{after:,.0f}"])
    print(
        table(["workers", "captions", "start-up", "captions/s, all in", "captions/s, after the start"], rows)
    )
    print(
        f"Two workers over one: {rates[1] / rates[0]:.2f}x (target 1.6x); target of one: 6,000 captions/s.\n"
    )
    with open_extractor(pack) as extractor:
        alone = min(seconds(lambda: extractor.extract(data.captions)) for _ in range(3))
    print(f"MedCAT alone, in this process: {len(data.captions) / alone:,.0f} captions/s.\n")


def extraction_time(captions: Path, pack: Path, jobs: int) -> float:
    """Return the seconds from a file of captions to lines of CSV."""
    return seconds(lambda: extract_files([captions], pack, ExtractionOptions(), jobs=jobs))


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
    known = {row.cui for row in data.names}
    outcomes = {"ours": found(pack, data.captions, ExtractionOptions()), **baselines(data, folder)}
    for setting, value in MEDCAT_DEFAULTS.items():
        settings = replace(DEFAULT_SETTINGS, **{setting: value})
        outcomes[f"ours, {setting} = {value}"] = rebuilt(data, folder, settings)
    bare = replace(data, names=data.bare)
    outcomes["ours, no everyday names"] = rebuilt(bare, folder, DEFAULT_SETTINGS)
    outcomes["ours, trained on the captions"] = rebuilt(
        data, folder, DEFAULT_SETTINGS, captions=data.captions
    )
    outcomes["ours, every type"] = found(pack, data.captions, ExtractionOptions(types=()))
    outcomes["ours, every type, nested mentions kept"] = all_mentions(pack, data.captions)
    dropped = ExtractionOptions(negated="drop")
    outcomes["ours, negated mentions dropped"] = found(pack, data.captions, dropped)
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
        "The last three columns: against the CUIs that the pack knows, over the images that have any of them."
    )


def baselines(data: Data, folder: Path) -> dict[str, Concepts]:
    """Return what others find with the same names."""
    varied = with_plurals(with_joined(data.names))
    return {
        "baseline: dictionary, longest match": dictionary(data.names, data.captions),
        "baseline: dictionary with our plurals": dictionary(varied, data.captions),
        "baseline: MedCAT's defaults": rebuilt(data, folder, replace(DEFAULT_SETTINGS, **MEDCAT_DEFAULTS)),
    }


def rebuilt(
    data: Data, folder: Path, settings: PackSettings, captions: Sequence[str] | None = None
) -> Concepts:
    """Return what a pack of other settings finds."""
    pack = folder / "other.zip"
    build_pack(data.names, pack, settings, captions=captions)
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
    """Return the concepts of captions as a plain trie of words finds them: the longest name at each place."""
    trie: dict[str, Any] = {}
    cui_of: dict[str, str] = {}
    for row in ready(names).names:
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
