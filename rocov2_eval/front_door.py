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
from rocov2_eval.editions import AUTO, DEFAULT_EDITION, ChosenBy, edition_of
from rocov2_eval.errors import RejectedFiles, RejectedInput, UnknownIds, UsageFault
from rocov2_eval.findings import finding, is_rejected
from rocov2_eval.formats import Table, load
from rocov2_eval.frames import Answers, frame_of, tables_of
from rocov2_eval.intake import GUESSED, Columns, Handed, opened
from rocov2_eval.metric import Metric, Options
from rocov2_eval.places import cache_folder, truth_places
from rocov2_eval.reading import Pair, read, read_alone, read_ids
from rocov2_eval.records import Finding, Task
from rocov2_eval.resampling import DEFAULT_SEED, Bootstrap
from rocov2_eval.schemas import check_json_file, is_table
from rocov2_eval.scoring import Opener, Report, check, check_alone, evaluate
from rocov2_eval.settings import OFFICIAL_ENCODER, Settings
from rocov2_eval.shelf.progress import Notify, silent
from rocov2_eval.shelf.words import counted, short_id, shorten, suggestion
from rocov2_eval.significance import PairOptions, enough_trials
from rocov2_eval.truth import Place, Truth, subset_of, truth_name
from rocov2_eval.verification import require_libraries

File = str | PathLike[str]
# A file, or answers as objects; see `frames.frame_of`.
Run = File | Answers
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
_WHY: Mapping[ChosenBy, str] = {
    "ids": ", the year in the ids",
    "default": ", because the ids name no year",
    "user": "",
}


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
    run: Run,
    truth: Run | None = None,
    *,
    edition: str = AUTO,
    task: Task | None = None,
    split: Split | None = None,
    id_column: str | None = None,
    value_column: str | None = None,
    metrics: Iterable[str] = (),
    by: Iterable[str] = (),
    lenient: bool = False,
    subset: bool = False,
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

    Examples:
        >>> import rocov2_eval
        >>> from rocov2_eval.truth import sample_folder
        >>> report = rocov2_eval.score(sample_folder() / "valid_concepts.csv", sample_folder())
        >>> report.metrics["concept_f1"].mean
        1.0

        Objects are runs and truths as well:

        >>> report = rocov2_eval.score({"a": "C1", "b": "C3"}, {"a": "C1;C2;C4", "b": "C3"})
        >>> report.metrics["concept_f1"].mean
        0.75
        >>> report.per_image()["concept_f1"].to_dict()
        {'a': 0.5, 'b': 1.0}

    Args:
        run: An answer for each image: a table as CSV, JSON, JSON Lines or Parquet, `-` for the
            standard input; or a frame, a mapping of ids to answers, or records.
        truth: A dataset folder, a truth file, or the same objects as for `run`; None for $ROCOV2_DATA, the
            config file or the bundled sample.
        edition: Name or year of the edition whose reader, limits and metrics apply; `auto` for the year that
            the ids name, else our own rules.
        task: Concepts or captions; None for what the header or the cells tell.
        split: Split of the truth; None for what the ids tell.
        id_column: Column of the image ids; None for what known names tell.
        value_column: Column of the answers; None for what known names tell.
        metrics: Names of metrics or of their outputs; empty for all that the edition has for the task.
        by: Facets to break the scores down by: `modality`, `region`, `direction`, `concepts`.
        lenient: Score what can be scored; a missing image counts 0.
        subset: Score against the part of the truth that the run answers, and mark the result.
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
    columns = Columns(id=id_column, value=value_column)
    return scored(run, truth, settings, opener, task=task, split=split, columns=columns, subset=subset).report


def validate(
    run: Run,
    truth: Run | None = None,
    *,
    edition: str = AUTO,
    task: Task | None = None,
    split: Split | None = None,
    ids: File | None = None,
    id_column: str | None = None,
    value_column: str | None = None,
    strict: bool = False,
    notify: Notify = silent,
) -> tuple[Finding, ...]:
    """Return every fault of a run, or of a JSON document of this program, at once.

    Examples:
        >>> import rocov2_eval
        >>> from rocov2_eval.truth import sample_folder
        >>> run = sample_folder() / "valid_concepts.csv"  # the truth itself
        >>> [(found.code, found.severity) for found in rocov2_eval.validate(run, sample_folder())]
        [('R024', 'note')]

    Args:
        run: As for `score`; a file that ends in .json may also be a document of this program.
        truth: A dataset folder, a truth file, or the same objects as for `run`; None for $ROCOV2_DATA, the
            config file or the bundled sample.
        edition: Name or year of the edition whose reader and limits apply; `auto` for the year that the ids
            name, else our own rules.
        task: Concepts or captions; None for what the header or the cells tell.
        split: Split of the truth; None for what the ids tell.
        ids: The ids that the run should have, where there is no truth: a file with one at the start of each
            row, or a folder of images.
        id_column: Column of the image ids; None for what known names tell.
        value_column: Column of the answers; None for what known names tell.
        strict: Apply the platform's 2026 format check too.
        notify: Called with a sentence that names the truth, or says what is not checked for want of one.

    Raises:
        MissingResource: The truth that is named does not exist or is none of the task.
        UsageFault: The options do not go together.
    """
    _refuse_unknown(task=task, split=split)
    settings = settings_of(edition)
    rules = settings.edition if settings.chosen_by == "user" else None
    if truth is not None and ids is not None:
        raise UsageFault("--ids and --truth exclude each other: use one of them")
    if strict and not isinstance(run, str | PathLike):
        raise UsageFault("strict checks the format of a file, but the run is an object: pass a path")
    columns = Columns(id=id_column, value=value_column)
    try:
        if isinstance(run, str | PathLike) and (path := Path(run)).suffix == ".json":
            text = load(path).text
            if not is_table(text):
                return tuple(check_json_file(str(path), text))
        handed = _handed(run, "run")
        if ids is not None:
            notify(f"ids: {ids}; there is no truth, so answers are not compared")
            table, found, alone, _ = read_alone(handed, rules, task=task, columns=columns)
            return tuple(check_alone(table, found, alone, ids=read_ids(Path(ids), table), strict=strict))
        pair = read(handed, rules, _truth_of(truth), task=task, split=split, columns=columns)
    except RejectedInput as error:
        return error.findings
    except UnknownIds:
        table, found, alone, _ = read_alone(handed, rules, task=task, columns=columns)
        faults = check_alone(table, found, alone, strict=strict)
        if truth is None:
            notify("no truth with these ids was found, so ids are not checked: add --truth or --ids")
            return tuple(faults)
        shown = short_id(table.image_ids[0]) if table.image_ids else ""
        message = (
            f"no id of the run is in a truth of {truth}: {counted(len(table.image_ids), 'id')} such as "
            f"{shown!r}"
        )
        return (finding("R104", table.path, None, message), *faults)
    why = _WHY[pair.chosen_by]
    notify(f"truth: {truth_name(pair.truth.inputs)}; rules: {pair.edition.name}{why}")
    return check(pair.run, pair.truth, pair.edition, strict=strict)


def compare(
    runs: Sequence[Run],
    truth: Run | None = None,
    *,
    edition: str = AUTO,
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

    Examples:
        >>> import rocov2_eval
        >>> from rocov2_eval.truth import sample_folder
        >>> run = sample_folder() / "valid_concepts.csv"
        >>> rocov2_eval.compare([run, run], sample_folder()).pairs[0].difference
        0.0

    Args:
        runs: At least two runs of one task and split, each as for `score`.
        truth: A dataset folder, a truth file, or the same objects as for `run`; None for $ROCOV2_DATA, the
            config file or the bundled sample.
        edition: Name or year of the edition whose reader, limits and metrics apply; `auto` for the year that
            the ids name, else our own rules.
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
    if isinstance(runs, Mapping):
        raise UsageFault("runs is a mapping, expected a list of runs, such as [run_a, run_b]")
    if len(runs) < _FEWEST_RUNS:
        raise UsageFault("compare expects two runs or more: rocov2-eval compare RUN_A RUN_B")
    _refuse_unknown(task=task, split=split, device=device, precision=precision)
    if examples < 0:
        raise UsageFault(f"examples is {examples}, expected a number of images for each pair, 0 or more")
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
    pairs = _read_all(runs, truth, settings, task=task, split=split, facets=True)
    groups = comparison.groups_of(pairs[0].truth, tuple(by))
    opener = model_opener(device, cache=cache, progress=progress, notify=notify)
    return comparison.compare(
        [_report(pair, settings, opener) for pair in pairs],
        groups,
        ComparisonOptions(
            pairs=enough_trials(PairOptions(bootstrap=Bootstrap(seed=seed)), len(runs)),
            metrics=settings.metrics,
            images=examples,
        ),
    )


def scored(
    run: Run,
    truth: Run | None,
    settings: Settings,
    opener: Opener,
    *,
    task: Task | None = None,
    split: str | None = None,
    subset: bool = False,
    columns: Columns = GUESSED,
    every_facet: bool = False,
    verifiable: bool = False,
) -> Scored:
    """Read a run and its truth, score the run, and return the report with all that it was made of.

    Args:
        run: As for `score`.
        truth: A dataset folder, a truth file, or the same objects as for `run`; None for $ROCOV2_DATA, the
            config file or the bundled sample.
        settings: What to compute.
        opener: Opens the model of a metric; see `model_opener`.
        task: Concepts or captions; None for what the header or the cells tell.
        split: Split of the truth; None for what the ids tell.
        subset: Score against the part of the truth that the run answers, and mark the result.
        columns: The columns of ids and answers, where their names do not tell.
        every_facet: Break the scores down by every facet that the truth has, where the settings name none.
        verifiable: Ask for the reference libraries first, because `verification.verify` comes next.

    Raises:
        RejectedInput: The run breaks a rule of the edition; its `findings` say where.
        MissingResource: Truth, weights or a library are missing; the message names the command that helps.
        UsageFault: The options do not go together.
    """
    facets = bool(settings.by) or every_facet
    places = _truth_of(truth)
    pair = _read_pair(run, "run", places, settings, task=task, split=split, facets=facets, columns=columns)
    table, answers, settings = pair.run, pair.truth, _settled(settings, pair)
    if subset:
        answers = subset_of(answers, table.image_ids)
    if every_facet and not settings.by:
        settings = replace(settings, by=facets_of(answers))
    if verifiable:
        require_libraries(answers.task)
    report = evaluate(table, answers, settings, opener)
    return Scored(report=report, run=table, truth=answers, settings=settings)


def scores_of(
    runs: Sequence[Run],
    truth: Run | None,
    settings: Settings,
    opener: Opener,
    *,
    task: Task | None = None,
    split: str | None = None,
    columns: Columns = GUESSED,
) -> list[Report]:
    """Score several runs on one truth; the arguments are those of `scored`.

    Raises:
        RejectedInput: A run breaks a rule of the edition; no run is scored.
        MissingResource: Truth, weights or a library are missing; the message names the command that helps.
        UsageFault: The runs belong to different truths or editions, or the options do not go together.
    """
    facets = bool(settings.by)
    pairs = _read_all(runs, truth, settings, task=task, split=split, facets=facets, columns=columns)
    return [_report(pair, settings, opener) for pair in pairs]


def settings_of(
    edition: str = AUTO,
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
        raise UsageFault(f"seed is {seed}, expected 0 or more")
    return Settings(
        edition=edition_of(DEFAULT_EDITION if edition == AUTO else edition),
        chosen_by="default" if edition == AUTO else "user",
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


def _read_pair(
    run: Run,
    name: str,
    truth: Sequence[Place] | Mapping[str, Handed],
    settings: Settings,
    *,
    task: Task | None,
    split: str | None,
    facets: bool = False,
    columns: Columns = GUESSED,
) -> Pair:
    """Read a run, and its truth where the user names it or where it usually lies; see `reading.read`."""
    edition = settings.edition if settings.chosen_by == "user" else None
    return read(_handed(run, name), edition, truth, task=task, split=split, facets=facets, columns=columns)


def _truth_of(truth: Run | None) -> Sequence[Place] | Mapping[str, Handed]:
    """Return where to look for a truth, or the one that was handed in."""
    if truth is None or isinstance(truth, str | PathLike):
        return truth_places(truth)
    tables = tables_of(truth, "truth")
    return {key: Handed(name="truth", content=frame) for key, frame in tables.items()}


def _handed(run: Run, name: str) -> Handed:
    if isinstance(run, str | PathLike):
        return opened(Path(run))
    return Handed(name=name, content=frame_of(run, name))


def _settled(settings: Settings, pair: Pair) -> Settings:
    """Return settings with the edition that a run was read by."""
    return replace(settings, edition=pair.edition, chosen_by=pair.chosen_by)


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


def _refuse_unknown(**choices: str | None) -> None:
    """Refuse a value that the command line would refuse too."""
    for name, value in choices.items():
        known = _CHOICES[name]
        if value is not None and value not in known:
            raise UsageFault(f"no {name} {shorten(str(value))!r}; {suggestion(str(value), known)}")


def _read_all(
    runs: Sequence[Run],
    truth: Run | None,
    settings: Settings,
    *,
    task: Task | None,
    split: str | None,
    facets: bool,
    columns: Columns = GUESSED,
) -> list[Pair]:
    """Read and check every run before any is scored; all have one truth and one edition."""
    pairs: list[Pair] = []
    rejected: dict[str, Sequence[Finding]] = {}
    answers = _truth_of(truth)  # once: records may come only once
    for i, run in enumerate(runs):
        name = str(run) if isinstance(run, str | PathLike) else f"runs[{i}]"
        try:
            pair = _read_pair(
                run, name, answers, settings, task=task, split=split, facets=facets, columns=columns
            )
        except RejectedInput as error:
            rejected[name] = error.findings
            continue
        findings = check(pair.run, pair.truth, pair.edition)
        if is_rejected(findings) and not settings.lenient:
            rejected[name] = findings
        pairs.append(pair)
    if rejected:
        raise RejectedFiles(rejected)
    comparison.require_one_truth([pair.run.path for pair in pairs], [pair.truth for pair in pairs])
    editions = {pair.edition.name: pair.run.path for pair in pairs}
    if len(editions) > 1:
        chosen = ", ".join(f"{path} is of {name}" for name, path in editions.items())
        raise UsageFault(f"{chosen}: select one with --edition")
    return pairs


def _report(pair: Pair, settings: Settings, opener: Opener) -> Report:
    """Score a run; what only the model refuses is told with the name of the run."""
    try:
        return evaluate(pair.run, pair.truth, _settled(settings, pair), opener)
    except RejectedInput as error:
        if error.findings:
            raise
        raise RejectedInput(f"{pair.run.path}: {error}") from None
