"""A small model pack of MedCAT, made on the spot: what the tests of concepts read captions with."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from rocov2_eval.concept_extraction import import_medcat

HEADER = ("cui", "name", "ontologies", "name_status", "type_ids", "description")
# CUI, names divided by |, semantic type. The name "mass" has two concepts, so that no training tells which.
ROWS = (
    ("C0040405", "X-Ray Computed Tomography|CT|CT scan|computed tomography", "T060"),
    ("C1306645", "Plain x-ray|X-ray|radiograph|radiographs", "T060"),
    ("C0041618", "Ultrasonography|ultrasound|US", "T060"),
    ("C0817096", "Chest", "T029"),
    ("C1527391", "Anterior chest wall|chest wall", "T023"),
    ("C0023884", "Liver|hepatic", "T023"),
    ("C0032227", "Pleural effusion|effusion", "T047"),
    ("C0577559", "Mass of body structure|mass", "T033"),
    ("C0332448", "Infiltration|mass", "T047"),
)


def make_pack(
    folder: Path, rows: Iterable[tuple[str, str, str]] = ROWS, *, name: str = "small", archive: bool = True
) -> Path:
    """Build a model pack under a name of its own, with the settings by which short names are found.

    Args:
        folder: Where to put it; made if it is not there.
        rows: CUI, names divided by `|`, the preferred one first, and semantic type.
        name: Of the pack.
        archive: Return the zip archive, else the folder.
    """
    import_medcat()
    from medcat.cat import CAT
    from medcat.config import Config
    from medcat.model_creation.cdb_maker import CDBMaker
    from medcat.vocab import Vocab

    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"{name}.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for cui, names, kind in rows:
            preferred, *others = names.split("|")
            writer.writerow([cui, preferred, "", "P", kind, ""])
            writer.writerows([cui, other, "", "A", kind, ""] for other in others)
    config = Config()
    config.general.spell_check = False
    config.components.ner.min_name_len = 2
    config.components.ner.upper_case_limit_len = 4
    config.components.linking.disamb_length_limit = 2
    database = CDBMaker(config).prepare_csvs([str(table)], full_build=True)
    cat = CAT(cdb=database, vocab=Vocab(), config=config)
    saved = cat.save_model_pack(str(folder), pack_name=name, add_hash_to_pack_name=False)
    return Path(f"{saved}.zip" if archive else saved)
