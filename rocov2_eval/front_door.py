"""The way in, for Python and for the command line: from files to a report, findings or a comparison.

A caller that holds run and truth already, such as a leaderboard, goes on with `scoring.evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

from rocov2_eval import comparison
from rocov2_eval.breakdown import facets_of
from rocov2_eval.comparison import Comparison, ComparisonOptions
from rocov2_eval.devices import DEVICES, PRECISIONS, Device, Precision
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS, Edition
from rocov2_eval.errors import RejectedFiles, RejectedInput, UsageFault
from rocov2_eval.findings import is_rejected
from rocov2_eval.formats import Table, load
from rocov2_eval.metric import Metric, Options
from rocov2_eval.places import cache_folder, truth_places
from rocov2_eval.reading import read
from rocov2_eval.records import Finding, Task
from rocov2_eval.resampling import DEFAULT_SEED, Bootstrap
from rocov2_eval.schemas import check_json_file
from rocov2_eval.scoring import Opener, Report, check, evaluate
from rocov2_eval.settings import OFFICIAL_ENCODER, Settings
from rocov2_eval.shelf.progress import Notify, silent
from rocov2_eval.shelf.words import shorten, suggestion
from rocov2_eval.significance import PairOptions, enough_trials
from rocov2_eval.truth import Truth, truth_name
from rocov2_eval.verification import require_libraries

File = str | PathLike[str]
Split = Literal["train", "valid", "test"]
# Takes the name of a metric, and how many of how many of its texts or tokens are done.
MetricProgress = Callable[[str, int, int], None]
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "task": get_args(Task),
    "split": get_args(Split),
    "device": DEVICES,
    "precision": PRECISIONS,
}
_FEWEST_RUNS = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """A run that was scored, with what its scores were made of.

    Attributes:
        report: The scores of the run.
        run: The rows of the run.
        truth: The truth that the run was scored against.
        settings: What was computed.
    """

    report: Report
    run: Table
    truth: Truth
    settings: Settings


def score(
    run: File,
    truth: File | None = None,
    *,
    edition: str = DEFAULT_EDITION,
    task: Task | None = None,
    split: Split | None = None,
    metrics: Iterable[str] = (),
    by: Iterable[str] = (),
    lenient: bool = False,
    intervals: bool = True,
    seed: int = DEFAULT_SEED,
    encoder: str = OFFICIAL_ENCODER,
    weights: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    precision: Precision = "fp32",
    images: File | None = None,
    image_vectors: File | None = None,
    concept_model: File | None = None,
    concept_types: Iterable[str] = (),
    device: Device = "auto",
    cache: bool = True,
    progress: MetricProgress = silent,
    notify: Notify = silent,
) -> Report:
    """Score a run, as `rocov2-eval score` does.

    >>> import rocov2_eval
    >>> from rocov2_eval.truth import sample_folder
    >>> report = rocov2_eval.score(sample_folder() / "valid_concepts.csv", sample_folder())
    >>> report.metrics["concept_f1"].mean
    1.0

    Args:
        run: A CSV file with an answer for each image, or a zip archive with one in it.
        truth: A dataset folder or truth file; None for $ROCOV2_DATA, the config file or the bundled sample.
        edition: Name of the edition whose reader, limits and metrics apply.
        task: Concepts or captions; None for what the header or the cells tell.
        split: Split of the truth; None for what the ids tell.
        metrics: Names of metrics or of their outputs; empty for all that the edition has for the task.
        by: Facets to break the scores down by: `modality`, `region`, `direction`, `concepts`.
        lenient: Score what can be scored; a missing image counts 0.
        intervals: Make 95 % percentile bootstrap intervals.
        seed: Seed of the bootstrap.
        encoder: Text encoder of BERTScore, a name of `rocov2-eval models list` or the folder of a model.
        weights: Name or folder of the weights by kind (`bleurt`, `align`, `similarity`, …), for kinds other
            than the official ones.
        precision: Arithmetic of the models of text; `fp32` is official.
        images: Folder of the images, for scores that look at them; None for that of the truth.
        image_vectors: File of image vectors for Similarity, one array an image id; None to make them.
        concept_model: Model pack of MedCAT for `umls_f1`; None to leave that metric out.
        concept_types: Semantic types that `umls_f1` counts, empty for all.
        device: Where models run; `auto` takes the first of cuda, mps and cpu that there is.
        cache: Keep what models made of texts for the next run.
        progress: Called with the name of a metric and how many of how many of its texts are done; 0 of 0
            while its model is loaded.
        notify: Called with a sentence for the user.

    Raises:
        RejectedInput: The run breaks a rule of the edition; its `findings` say where.
        MissingResource: Truth, weights or a library are missing; the message names the command that helps.
        UsageFault: The options do not go together.
    """
    _refuse_unknown(task=task, split=split, device=device, precision=precision)
    settings = settings_of(
        edition,
        metrics=metrics,
        by=by,
        lenient=lenient,
        intervals=intervals,
        seed=seed,
        encoder=encoder,
        weights=weights,
        precision=precision,
        images=images,
        image_vectors=image_vectors,
        concept_model=concept_model,
        concept_types=concept_types,
    )
    opener = model_opener(device, cache=cache, progress=progress, notify=notify)
    return scored(run, truth, settings, opener, task=task, split=split).report


def validate(
    run: File,
    truth: File | None = None,
    *,
    edition: str = DEFAULT_EDITION,
    task: Task | None = None,
    split: Split | None = None,
    strict: bool = False,
    notify: Notify = silent,
) -> tuple[Finding, ...]:
    """Return every fault of a run, or of a JSON document of this program, at once.

    >>> import rocov2_eval
    >>> from rocov2_eval.truth import sample_folder
    >>> rocov2_eval.validate(sample_folder() / "valid_concepts.csv", sample_folder())
    ()

    Args:
        run: A CSV file, a zip archive with one in it, or a file that ends in .json.
        truth: A dataset folder or truth file; None for $ROCOV2_DATA, the config file or the bundled sample.
        edition: Name of the edition whose reader and limits apply.
        task: Concepts or captions; None for what the header or the cells tell.
        split: Split of the truth; None for what the ids tell.
        strict: Apply the platform's 2026 format check too.
        notify: Called with a sentence that names the truth.

    Raises:
        MissingResource: No truth has ids of the run.
        UsageFault: The options do not go together.
    """
    _refuse_unknown(task=task, split=split)
    path, rules = Path(run), edition_of(edition)
    try:
        if path.suffix == ".json":
            return tuple(check_json_file(str(path), load(path).text))
        table, answers = read_pair(path, truth, rules, task=task, split=split)
    except RejectedInput as error:
        return error.findings
    notify(f"truth: {truth_name(answers.inputs)}")
    return check(table, answers, rules, strict=strict)


def compare(
    runs: Sequence[File],
    truth: File | None = None,
    *,
    edition: str = DEFAULT_EDITION,
    task: Task | None = None,
    split: Split | None = None,
    metrics: Iterable[str] = (),
    by: Iterable[str] = (),
    examples: int = 10,
    seed: int = DEFAULT_SEED,
    encoder: str = OFFICIAL_ENCODER,
    weights: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    precision: Precision = "fp32",
    images: File | None = None,
    image_vectors: File | None = None,
    concept_model: File | None = None,
    concept_types: Iterable[str] = (),
    device: Device = "auto",
    cache: bool = True,
    progress: MetricProgress = silent,
    notify: Notify = silent,
) -> Comparison:
    """Compare every pair of runs image by image, as `rocov2-eval compare` does.

    >>> import rocov2_eval
    >>> from rocov2_eval.truth import sample_folder
    >>> run = sample_folder() / "valid_concepts.csv"
    >>> rocov2_eval.compare([run, run], sample_folder()).pairs[0].difference
    0.0

    Args:
        runs: At least two runs of one task and split.
        truth: A dataset folder or truth file; None for $ROCOV2_DATA, the config file or the bundled sample.
        edition: Name of the edition whose reader, limits and metrics apply.
        task: Concepts or captions; None for what the header or the cells tell.
        split: Split of the truth; None for what the ids tell.
        metrics: Scores to compare by, or metrics for their main score; empty for all main scores.
        by: Facets to compare within; empty for modality and region, where the truth has manual concepts.
        examples: Largest number of images to name for each pair, those that differ most.
        seed: Seed of the randomisation test and of the bootstrap.
        encoder: Text encoder of BERTScore, a name of `rocov2-eval models list` or the folder of a model.
        weights: Name or folder of the weights by kind (`bleurt`, `align`, `similarity`, …), for kinds other
            than the official ones.
        precision: Arithmetic of the models of text; `fp32` is official.
        images: Folder of the images, for scores that look at them; None for that of the truth.
        image_vectors: File of image vectors for Similarity, one array an image id; None to make them.
        concept_model: Model pack of MedCAT for `umls_f1`; None to leave that metric out.
        concept_types: Semantic types that `umls_f1` counts, empty for all.
        device: Where models run; `auto` takes the first of cuda, mps and cpu that there is.
        cache: Keep what models made of texts for the next run.
        progress: Called with the name of a metric and how many of how many of its texts are done; 0 of 0
            while its model is loaded.
        notify: Called with a sentence for the user.

    Raises:
        RejectedInput: A run breaks a rule of the edition; no run is scored.
        MissingResource: Truth, weights or a library are missing; the message names the command that helps.
        UsageFault: There are fewer than two runs, they belong to different truths, or options do not go
            together.
    """
    if len(runs) < _FEWEST_RUNS:
        raise UsageFault("compare needs two runs or more: rocov2-eval compare RUN_A RUN_B")
    _refuse_unknown(task=task, split=split, device=device, precision=precision)
    if examples < 0:
        raise UsageFault(f"examples is {examples}: expected 0 or more images to name for each pair")
    settings = settings_of(
        edition,
        metrics=metrics,
        seed=seed,
        encoder=encoder,
        weights=weights,
        precision=precision,
        images=images,
        image_vectors=image_vectors,
        concept_model=concept_model,
        concept_types=concept_types,
    )
    pairs = _read_all(runs, settings.edition, truth, task=task, split=split)
    truths = [answers for _, answers in pairs]
    comparison.require_one_truth([str(run) for run in runs], truths)
    groups = comparison.groups_of(truths[0], tuple(by))
    opener = model_opener(device, cache=cache, progress=progress, notify=notify)
    return comparison.compare(
        [_report(table, answers, settings, opener) for table, answers in pairs],
        groups,
        ComparisonOptions(
            pairs=enough_trials(PairOptions(bootstrap=Bootstrap(seed=seed)), len(runs)),
            metrics=settings.metrics,
            images=examples,
        ),
    )


def scored(
    run: File,
    truth: File | None,
    settings: Settings,
    opener: Opener,
    *,
    task: Task | None = None,
    split: str | None = None,
    every_facet: bool = False,
    verifiable: bool = False,
) -> Scored:
    """Read a run and its truth, score the run, and return the report with all that it was made of.

    Args:
        run: A CSV file, or a zip archive with one in it.
        truth: A dataset folder or truth file; None for $ROCOV2_DATA, the config file or the bundled sample.
        settings: What to compute.
        opener: Opens the model of a metric; see `model_opener`.
        task: Concepts or captions; None for what the header or the cells tell.
        split: Split of the truth; None for what the ids tell.
        every_facet: Break the scores down by every facet that the truth has, where the settings name none.
        verifiable: Ask for the reference libraries first, because `verification.verify` comes next.

    Raises:
        RejectedInput: The run breaks a rule of the edition; its `findings` say where.
        MissingResource: Truth, weights or a library are missing; the message names the command that helps.
        UsageFault: The options do not go together.
    """
    facets = bool(settings.by) or every_facet
    table, answers = read_pair(run, truth, settings.edition, task=task, split=split, facets=facets)
    if every_facet and not settings.by:
        settings = replace(settings, by=facets_of(answers))
    if verifiable:
        require_libraries(answers.task)
    report = evaluate(table, answers, settings, opener)
    return Scored(report=report, run=table, truth=answers, settings=settings)


def settings_of(
    edition: str = DEFAULT_EDITION,
    *,
    metrics: Iterable[str] = (),
    by: Iterable[str] = (),
    lenient: bool = False,
    intervals: bool = True,
    seed: int = DEFAULT_SEED,
    encoder: str = OFFICIAL_ENCODER,
    weights: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    precision: str = "fp32",
    images: File | None = None,
    image_vectors: File | None = None,
    concept_model: File | None = None,
    concept_types: Iterable[str] = (),
) -> Settings:
    """Return what to compute, from the arguments of `score`, which describes them.

    Raises:
        UsageFault: There is no edition of that name, or the seed is negative.
    """
    if seed < 0:
        raise UsageFault(f"seed is {seed}: expected 0 or more")
    return Settings(
        edition=edition_of(edition),
        metrics=tuple(metrics),
        by=tuple(dict.fromkeys(by)),
        bootstrap=Bootstrap(seed=seed) if intervals else None,
        lenient=lenient,
        encoder=encoder,
        weights=tuple(dict(weights).items()),
        precision=precision,
        images=None if images is None else Path(images),
        image_vectors=None if image_vectors is None else Path(image_vectors),
        concept_model=None if concept_model is None else str(concept_model),
        concept_types=tuple(concept_types),
    )


def read_pair(
    run: File,
    truth: File | None,
    edition: Edition,
    *,
    task: Task | None = None,
    split: str | None = None,
    facets: bool = False,
) -> tuple[Table, Truth]:
    """Read a run, and its truth where the user names it or where it usually lies; see `reading.read`."""
    return read(Path(run), edition, truth_places(truth), task=task, split=split, facets=facets)


def model_opener(
    device: Device = "auto",
    *,
    cache: bool = True,
    progress: MetricProgress = silent,
    notify: Notify = silent,
) -> Opener:
    """Return what opens the model of a metric.

    Args:
        device: Where a text encoder runs.
        cache: Keep token embeddings in the user's cache.
        progress: Called with the name of a metric and how many of how many of its texts are done; 0 of 0
            while its model is loaded.
        notify: Called with a sentence for the user.
    """

    def open_model(metric: Metric, options: Options) -> AbstractContextManager[Any]:
        assert metric.load is not None
        progress(metric.name, 0, 0)
        return metric.load(
            options,
            device=device,
            cache=cache_folder() if cache else None,
            progress=partial(progress, metric.name),
            notify=notify,
        )

    return open_model


def edition_of(name: str) -> Edition:
    """Return the edition of a name.

    Raises:
        UsageFault: There is none of that name.
    """
    if name not in EDITIONS:
        raise UsageFault(f"no edition {shorten(name)!r}; {suggestion(name, EDITIONS)}")
    return EDITIONS[name]


def _refuse_unknown(**choices: str | None) -> None:
    """Refuse a value that the command line would refuse too."""
    for name, value in choices.items():
        known = _CHOICES[name]
        if value is not None and value not in known:
            raise UsageFault(f"no {name} {shorten(str(value))!r}; {suggestion(str(value), known)}")


def _read_all(
    runs: Sequence[File], rules: Edition, truth: File | None, *, task: Task | None, split: str | None
) -> list[tuple[Table, Truth]]:
    """Read and check every run before any is scored."""
    pairs: list[tuple[Table, Truth]] = []
    rejected: dict[str, Sequence[Finding]] = {}
    for run in map(Path, runs):
        try:
            table, answers = read_pair(run, truth, rules, task=task, split=split, facets=True)
        except RejectedInput as error:
            rejected[str(run)] = error.findings
            continue
        findings = check(table, answers, rules)
        if is_rejected(findings):
            rejected[str(run)] = findings
        pairs.append((table, answers))
    if rejected:
        raise RejectedFiles(rejected)
    return pairs


def _report(run: Table, truth: Truth, settings: Settings, opener: Opener) -> Report:
    """Score a run; what only the model refuses is told with the name of the run."""
    try:
        return evaluate(run, truth, settings, opener)
    except RejectedInput as error:
        if error.findings:
            raise
        raise RejectedInput(f"{run.path}: {error}") from None
