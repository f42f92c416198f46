"""A recipe and a dataset into a run folder."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines import captions, concepts, decisions, filter_pictures, filters, selfcritical
from baselines.card import model_card
from baselines.concepts import ConceptDetection, Labelled, open_detector
from baselines.config import DataOptions, Recipe, Task
from baselines.data.dataset import Examples, Need, read_attributions, read_examples, select
from baselines.data.pack import Packed, check_pixels, pack_images
from baselines.filters import FilterOptions
from baselines.models.efficientnet import SPECS
from baselines.training import checkpoint, runlog
from baselines.training.loop import BEST, LAST, State, train
from baselines.training.objective import Objective
from baselines.training.runtime import Runtime
from rocov2_eval.command import silent
from rocov2_eval.encoders import TextEncoder
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.shelf.files import write_text
from rocov2_eval.shelf.words import shorten

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Reporting:
    """Who is told what.

    Attributes:
        note: A sentence.
        packing: Pictures packed, and in all.
        steps: Steps done, and in all.
        epoch: The facts of an epoch.
    """

    note: Callable[[str], None] = silent
    packing: Progress = silent
    steps: Progress = silent
    epoch: Callable[[Mapping[str, Any]], None] = silent


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What a recipe learns from.

    Attributes:
        train: Images and what is known of them.
        valid: Likewise.
        packed_train: Their pictures.
        packed_valid: Likewise.
    """

    train: Examples
    valid: Examples
    packed_train: Packed
    packed_valid: Packed

    def document(self) -> dict[str, Any]:
        """Return what identifies the data, for the record of a run."""
        return {
            "folder": str(self.train.folder.resolve()),
            "tables": dict((*self.train.inputs, *self.valid.inputs)),
            "train": {"images": len(self.train), "pixels_sha256": self.packed_train.digest},
            "valid": {"images": len(self.valid), "pixels_sha256": self.packed_valid.digest},
            "broken": dict(self.packed_train.broken),
        }


def train_run(  # noqa: PLR0917  recipe, data, where to
    recipe: Recipe,
    data: Path,
    out: Path,
    runtime: Runtime,
    reporting: Reporting,
    packs: Path,
    *,
    resume: bool = False,
) -> State:
    """Train what a recipe says, and leave a run folder behind.

    Args:
        recipe: What and how.
        data: A dataset folder in the layout of ROCOv2; for a filter, of classes or of single pictures.
        out: The run folder.
        runtime: Where.
        reporting: Who is told.
        packs: Where packed pictures are kept between runs.
        resume: Go on with the run in `out`.

    Raises:
        UsageFault: `out` holds a run already, and is not to be resumed.
        RocoError: The data or recipe cannot work.
    """
    if runtime.leads and not resume:  # the others would find what this process has begun to write
        _require_free(out)
    if recipe.run.task == "filter":
        return _train_filter(recipe, data, out, runtime, reporting, packs, resume=resume)
    material = load_material(recipe, data, packs, reporting)
    with ExitStack() as stack:
        objective = objective_of(recipe, material, stack)
        return _train(
            recipe,
            objective,
            material.document(),
            out,
            runtime,
            reporting,
            lambda: scored(recipe, out, material, runtime.device, objective.main),
            resume=resume,
        )


def _require_free(out: Path) -> None:
    """Refuse to begin a run in a folder that holds one, or something else."""
    if (out / LAST).exists():
        raise UsageFault(f"{out} holds a run already; go on with --resume, or name another folder with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / runlog.RUN).is_file():
        raise UsageFault(f"{out} holds something else than a run; name another folder with --out")


def load_material(recipe: Recipe, data: Path, packs: Path, reporting: Reporting) -> Material:
    """Read and pack the two splits of a recipe."""
    options: DataOptions = recipe.tables["data"]
    needs: tuple[Need, ...] = ("captions",)
    if recipe.run.task == "concepts":
        needs = (recipe.tables["decision"].table,)
    learnt = set(needs)
    if options.least_concepts:
        learnt.add("concepts")
    train_examples = _chosen(read_examples(data, options.train, learnt), options)
    valid_examples = read_examples(data, options.valid, needs)
    return Material(
        train=train_examples,
        valid=valid_examples,
        packed_train=pack(
            train_examples, options, packs, reporting.packing, allow_broken=options.allow_broken
        ),
        packed_valid=pack(
            valid_examples, options, packs, reporting.packing, allow_broken=options.allow_broken
        ),
    )


def pack(
    examples: Examples, options: DataOptions, packs: Path, progress: Progress, *, allow_broken: bool
) -> Packed:
    """Pack the pictures of a split, or open them where they are packed already."""
    place = (
        packs
        / f"{examples.folder.resolve().name}-{examples.split}-{len(examples)}-{options.side}-{options.fit}"
    )
    packed = pack_images(
        examples.named_files,
        place,
        options.side,
        fit=options.fit,
        allow_broken=allow_broken,
        workers=options.workers,
        progress=progress,
    )
    check_pixels(packed)  # a run says which pixels it has read: they must be those
    return packed


def objective_of(recipe: Recipe, material: Material, stack: ExitStack) -> Objective:
    """Return what a recipe trains; what it keeps open is closed with the stack."""
    torch.manual_seed(recipe.run.seed)  # of the first weights
    return _OBJECTIVES[recipe.run.task](recipe, material, stack)


def _concepts(recipe: Recipe, material: Material, _stack: ExitStack) -> Objective:
    table = recipe.tables["decision"].table
    options: DataOptions = recipe.tables["data"]
    learnt, seen = getattr(material.train, table), getattr(material.valid, table)
    if options.concepts:
        learnt = other_concepts(options.concepts, material.train.ids)
    if options.only:
        learnt, seen = restricted(learnt, options.only), restricted(seen, options.only)
    network = recipe.tables["network"]
    sees = network.size or (0 if network.init else SPECS[network.spec].side)
    if sees > options.side:
        raise UsageFault(f"data.side: {options.side} pixels are packed, and the network sees {sees}")
    return ConceptDetection(
        network,
        recipe.tables["augment"],
        recipe.tables["decision"],
        Labelled(packed=material.packed_train, concepts=learnt),
        Labelled(packed=material.packed_valid, concepts=seen),
        read_names(material.train.folder),
    )


def _captions(recipe: Recipe, material: Material, _stack: ExitStack) -> captions.CaptionObjective:
    assert material.train.captions is not None, "they were asked for"
    ready = captions.begin(recipe.tables["captioner"], recipe.tables["generation"], material.train.captions)
    return _caption_objective(recipe, material, ready)


def _self_critical(recipe: Recipe, material: Material, stack: ExitStack) -> Objective:
    start = recipe.tables["start"]
    folder = Path(start.run)
    ready = captions.open_ready(folder, folder / BEST)
    if start.reward == "cider":
        first = _caption_objective(recipe, material, ready)
        reward = selfcritical.cider_reward(first.train.captions)
    else:
        from rocov2_eval.encoders import open_encoder
        from rocov2_eval.models import require

        encoder = stack.enter_context(open_encoder(require(start.encoder), notify=silent))
        first = _caption_objective(recipe, material, ready, encoder)
        first.main = "bertscore_f1"  # what is learnt decides what is kept
        reward = selfcritical.bertscore_reward(encoder)
    return selfcritical.SelfCriticalObjective(first, reward, recipe.tables["selfcritical"])


def _caption_objective(
    recipe: Recipe, material: Material, ready: captions.Ready, encoder: TextEncoder | None = None
) -> captions.CaptionObjective:
    return captions.CaptionObjective(
        ready,
        captions.captioned(material.train, material.packed_train),
        captions.captioned(material.valid, material.packed_valid),
        options=recipe.tables["captions"],
        augmentation=recipe.tables["augment"],
        encoder=encoder,
    )


def _train_filter(  # noqa: PLR0917  what train_run has
    recipe: Recipe,
    data: Path,
    out: Path,
    runtime: Runtime,
    reporting: Reporting,
    packs: Path,
    *,
    resume: bool,
) -> State:
    """Train an image filter of the dataset builder."""
    options: FilterOptions = replace(recipe.tables["filter"], seed=recipe.run.seed)
    examples, aside = filter_pictures.read_examples(
        data,
        options.task,
        packs / f"{data.resolve().name}-{options.task}-{options.side}-{options.fit}",
        side=options.side,
        fit=options.fit,
        figures=options.pictures,
        seed=options.seed,
        progress=reporting.packing,
    )
    identity = {
        "folder": str(data.resolve()),
        "train": {"images": len(examples), "pixels_sha256": digest_of(examples.pixels)},
        "valid": {"images": len(aside), "pixels_sha256": digest_of(aside.pixels)},
    }
    objective = filters.FilterTraining(options, examples, aside)
    return _train(
        recipe,
        objective,
        identity,
        out,
        runtime,
        reporting,
        lambda: _of_best_epoch(out, objective.main, ("auc", "recall", "specificity")),
        resume=resume,
    )


def _of_best_epoch(out: Path, main: str, known: Sequence[str]) -> dict[str, Any]:
    """Return what validation said in the epoch that was kept."""
    best = max(runlog.read_metrics(out), key=lambda facts: facts[main])
    return {f"valid_{name}": best[name] for name in known if best.get(name) is not None}


def digest_of(pixels: Any) -> str:  # noqa: ANN401  uint8, shape (n, side, side, 3)
    """Return the SHA-256 of pictures."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


_OBJECTIVES: Mapping[Task, Callable[[Recipe, Material, ExitStack], Objective]] = {
    "concepts": _concepts,
    "captions": _captions,
    "self-critical": _self_critical,
}


def other_concepts(path: Path, ids: Sequence[str]) -> concepts.Cells:
    """Return the concepts of images by a table `ID,CUIs` of one's own.

    Raises:
        RejectedInput: An image is not in it.
    """
    found = {row["ID"]: row["CUIs"] for row in read_table(path) if row.keys() >= {"ID", "CUIs"}}
    absent = next((image_id for image_id in ids if image_id not in found), None)
    if absent is not None:
        raise RejectedInput(f"{path}: no row of {shorten(absent)}; expected ID,CUIs of every training image")
    return [
        tuple(dict.fromkeys(cui.strip().upper() for cui in found[image_id].split(";") if cui.strip()))
        for image_id in ids
    ]


def restricted(cells: concepts.Cells, only: Collection[str]) -> concepts.Cells:
    """Return the concepts of images that are among some."""
    return [tuple(cui for cui in image if cui in only) for image in cells]


def scored(
    recipe: Recipe,
    folder: Path,
    material: Material,
    device: Any,  # noqa: ANN401  torch is Any
    main: str,
) -> dict[str, Any]:
    """Return the scores of the best weights on the validation split, by the scorer itself."""
    if recipe.run.task != "concepts":
        # A second captioner may not fit beside the trained one; validation scored it by the scorer already.
        return _of_best_epoch(folder, main, ("rouge1", "bertscore_f1", "negative_loss"))
    from rocov2_eval.align import concept_sets
    from rocov2_eval.metrics import concept_f1

    detector = open_detector(folder)
    detector.model.to(device)
    found = detector.probabilities(material.packed_valid.images, device)
    cells = decisions.concept_cells(decisions.decide(found, detector.decision), detector.labels)
    truth = getattr(material.valid, recipe.tables["decision"].table)
    if recipe.tables["data"].only:
        truth = restricted(truth, recipe.tables["data"].only)
    candidates, references = concept_sets(cells, [";".join(image) for image in truth])
    values = concept_f1.score(candidates, references)["concept_f1"]
    return {"valid_concept_f1": values.mean, "images": values.n}


def read_names(folder: Path) -> dict[str, str]:
    """Return the canonical name of each concept of a dataset, none where it has no such table."""
    path = folder / "cui_mapping.csv"
    return {row["CUI"]: row["Canonical name"] for row in read_table(path) if "CUI" in row}


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, none where it is absent."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _train(  # noqa: PLR0917  what train_run has
    recipe: Recipe,
    objective: Objective,
    data: Mapping[str, Any],
    out: Path,
    runtime: Runtime,
    reporting: Reporting,
    score: Callable[[], dict[str, Any]],
    *,
    resume: bool,
) -> State:
    """Train an objective, and write all that a run folder holds.

    Args:
        recipe: What and how.
        objective: Made of it.
        data: What identifies the data.
        out: The run folder.
        runtime: Where.
        reporting: Who is told.
        score: Called when all is done.
        resume: Go on with the run in `out`.
    """
    record = {
        "recipe": recipe.document(),
        "name": recipe.name,
        "data": data,
        **runlog.surroundings(runtime.device),
        "precision": "bf16" if runtime.bf16 else "fp32",
        "processes": runtime.share.world,
    }
    if runtime.leads:
        out.mkdir(parents=True, exist_ok=True)
        if resume:
            _refuse_other(runlog.read_run(out), record, out)
        runlog.begin_metrics(out, keep_to=_last_step(out) if resume else 0)
        runlog.write_run(out, record)
    runtime.barrier()

    def report(facts: Mapping[str, Any]) -> None:
        runlog.add_metrics(out, facts)
        reporting.epoch(facts)

    state = train(
        objective,
        recipe.tables["training"],
        runtime,
        out,
        recipe.run.seed,
        report,
        resume=resume,
        progress=reporting.steps,
    )
    if runtime.leads:
        scores, metrics = score(), runlog.read_metrics(out)
        done = {"scores": scores, "seconds": state.seconds, "steps": state.step}
        runlog.write_run(out, {**record, **done, **_licences(objective)})
        rules = read_table(out / concepts.RULES_TABLE)
        write_text(out / "README.md", model_card(runlog.read_run(out), metrics, rules))
    runtime.barrier()
    return state


def _licences(objective: Objective) -> dict[str, Any]:
    """Return the licences of the weights that a captioner started from."""
    ready = getattr(objective, "ready", None)
    return {"licences": dict(ready.licences)} if ready else {}


def licence_of(attribution: str) -> str:
    """Return the licence of an attribution, such as `CC BY` of `CC BY 4.0 [Surname et al. (2020)]`."""
    return re.sub(r"\s+\d+(\.\d+)?$", "", attribution.partition(" [")[0].strip())


def _chosen(examples: Examples, options: DataOptions) -> Examples:
    """Return the training images that a recipe wants."""
    rows = np.arange(len(examples))
    if options.licences:
        attributions = read_attributions(examples.folder)
        licences = [licence_of(attributions.get(image_id, "")) for image_id in examples.ids]
        rows = rows[[licences[row] in options.licences for row in rows]]
    if options.least_concepts:
        assert examples.concepts is not None, "they were asked for"
        rows = rows[[len(examples.concepts[row]) >= options.least_concepts for row in rows]]
    if not len(rows):
        raise RejectedInput(f"{examples.folder}: no training image is left by licences and least_concepts")
    return examples if len(rows) == len(examples) else select(examples, rows.tolist())


def _refuse_other(before: Mapping[str, Any], now: Mapping[str, Any], out: Path) -> None:
    """Refuse to go on with another recipe or other data; where they lie and who packs them may differ."""
    ours, theirs = _identity(now), _identity(before)
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            was, is_now = (shorten(repr(found.get(key)), 60) for found in (theirs, ours))
            raise UsageFault(
                f"{out}: {key} was {was} in this run, and is {is_now} now; take the same, or begin a new run"
            )


def refuse_other_recipe(out: Path, recipe: Recipe) -> None:
    """Refuse a run folder that another recipe has made.

    Raises:
        UsageFault: A key differs; the message names it.
    """
    record = runlog.read_run(out)
    _refuse_other(record, {**record, "recipe": recipe.document()}, out)


def _identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a run what it is, flat: keys of the recipe, and digests of the data."""
    recipe, data = record["recipe"], record["data"]
    known = {f"{table}.{key}": value for table, options in recipe.items() for key, value in options.items()}
    for idle in ("run.about", "data.workers"):
        known.pop(idle, None)
    known |= {f"digest of {Path(path).name}": digest for path, digest in data.get("tables", {}).items()}
    return known | {f"pixels of {split}": data[split]["pixels_sha256"] for split in ("train", "valid")}


def _last_step(out: Path) -> int:
    return int(checkpoint.read_header(out / LAST)["state"]["step"])
