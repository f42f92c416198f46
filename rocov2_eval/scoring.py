"""Score one run: check, align, score, aggregate. The only loop over the metrics."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rocov2_eval.align import align
from rocov2_eval.breakdown import group_images, order_of
from rocov2_eval.causes import NEARLY_ALL, OF_IDS
from rocov2_eval.concept_cells import Cell
from rocov2_eval.concept_errors import ConceptErrors, concept_errors
from rocov2_eval.editions import EDITIONS, ChosenBy, Edition
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault
from rocov2_eval.findings import finding, in_order, is_rejected
from rocov2_eval.formats import Table
from rocov2_eval.frames import to_pandas
from rocov2_eval.intake import STDIN_NAME
from rocov2_eval.metric import Inputs, Metric, Options
from rocov2_eval.metrics import METRICS, metric_of, task_of_score
from rocov2_eval.metrics.derived import DERIVED, derive, derived_signature, parts
from rocov2_eval.precheck import precheck
from rocov2_eval.records import BoolArray, Finding, MetricResult, SampleScores, Task
from rocov2_eval.report_document import report_document
from rocov2_eval.resampling import Bootstrap, interval
from rocov2_eval.settings import Settings
from rocov2_eval.shelf.words import counted, file_name, shorten
from rocov2_eval.signature import signature
from rocov2_eval.truth import Truth, other_split
from rocov2_eval.validation import check_run, without

if TYPE_CHECKING:
    from rocov2_eval.frames import DataFrame

# Opens the model of a metric that has one.
Opener = Callable[[Metric, Options], AbstractContextManager[Any]]


@dataclass(frozen=True, kw_only=True)
class Group:
    """One row of a breakdown.

    Attributes:
        name: The modality, region, direction or number of concepts that the images have in common.
        images: Number of images.
        metrics: Results over these images by output name.
    """

    name: str
    images: int
    metrics: Mapping[str, MetricResult]


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Everything known of a run after scoring.

    Attributes:
        edition: Name of the edition.
        chosen_by: Who chose the edition; see `editions.ChosenBy`.
        task: What was scored, concepts or captions.
        split: Split of the truth, None where unknown.
        notes: Why the scores may not stand beside official ones; empty if they may.
        run: Path and SHA-256 of the run.
        truth: Path and SHA-256 of every truth file.
        metrics: Results over all images by output name, in the order in which the edition publishes them.
        samples: Score of each image by output name, in truth order.
        image_ids: Ids of the images, in truth order.
        not_computed: For each score of the edition that is not computed, by its published name, the reason.
        concept_errors: What went wrong concept by concept, None for captions.
        breakdowns: For each facet, the results within its groups of images.
        findings: Faults of run and truth that did not keep the run from being scored.
        whole: Number of images of the whole truth where a part of it was scored, else None.
    """

    edition: str
    task: Task
    split: str | None
    notes: tuple[str, ...]
    run: tuple[str, str]
    truth: tuple[tuple[str, str], ...]
    metrics: Mapping[str, MetricResult]
    samples: Mapping[str, SampleScores]
    image_ids: Sequence[str]
    not_computed: Mapping[str, str]
    concept_errors: ConceptErrors | None
    breakdowns: Mapping[str, tuple[Group, ...]]
    findings: tuple[Finding, ...]
    chosen_by: ChosenBy = "user"
    whole: int | None = None

    @property
    def image_columns(self) -> dict[str, list[Any]]:
        """The ids, `image_id`, and the score of each image by output name, None where it is unscored."""
        columns: dict[str, list[Any]] = {"image_id": list(self.image_ids)}
        for name, scores in self.samples.items():
            pairs = zip(scores.values.tolist(), scores.scored.tolist(), strict=True)
            columns[name] = [value if scored else None for value, scored in pairs]
        return columns

    def to_frame(self) -> DataFrame:
        """Return a pandas frame with a row for each score: `mean`, `low`, `high`, `images`, `unscored`.

        Raises:
            MissingResource: pandas is not installed.
        """
        results = self.metrics.values()
        ends = [_ends(result) for result in results]
        return to_pandas(
            {
                "score": list(self.metrics),
                "mean": [result.mean for result in results],
                "low": [low for low, _ in ends],
                "high": [high for _, high in ends],
                "images": [result.n for result in results],
                "unscored": [result.unscored for result in results],
                "signature": [result.signature for result in results],
            },
            "score",
        )

    def per_image(self) -> DataFrame:
        """Return a pandas frame with a row for each image and a column for each score, NaN where unscored.

        Raises:
            MissingResource: pandas is not installed.
        """
        return to_pandas(self.image_columns, "image_id")

    def breakdown(self, facet: str) -> DataFrame:
        """Return a pandas frame with a row for each group of images and each score with its interval.

        Args:
            facet: `modality`, `region`, `direction` or `concepts`, one that the run was scored `by`.

        Raises:
            UsageFault: The run was not scored by this facet.
            MissingResource: pandas is not installed.
        """
        if facet not in self.breakdowns:
            raise UsageFault(f"no scores by {shorten(str(facet))!r}: call score(…, by=[{facet!r}])")
        groups = self.breakdowns[facet]
        columns: dict[str, list[Any]] = {facet: [group.name for group in groups]}
        columns["images"] = [group.images for group in groups]
        for name in self.metrics:
            results = [group.metrics[name] for group in groups]
            columns[name] = [result.mean for result in results]
            columns[f"{name}_low"] = [_ends(result)[0] for result in results]
            columns[f"{name}_high"] = [_ends(result)[1] for result in results]
        return to_pandas(columns, facet)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the answer of `rocov2-eval score`."""
        from rocov2_eval.rendering.html import fragment  # a notebook pays for its templates

        return fragment(report_document(self))


@dataclass(frozen=True, kw_only=True)
class Step:
    """One metric to compute.

    Attributes:
        metric: The metric.
        options: Options of the metric, a model still by the name that was asked for.
        outputs: Names of the scores to keep.
    """

    metric: Metric
    options: Options
    outputs: tuple[str, ...]

    @property
    def signature(self) -> str:
        """The signature, known before anything is scored."""
        return signature(self.metric, self.options)


def _ends(result: MetricResult) -> tuple[float | None, float | None]:
    return (result.interval.low, result.interval.high) if result.interval else (None, None)


def check(run: Table, truth: Truth, edition: Edition, *, strict: bool = False) -> tuple[Finding, ...]:
    """Return every finding of a run, the truth's own included, notes last; `strict` adds the 2026 check.

    Raises:
        UsageFault: The edition is not one that the format check can read.
    """
    table = truth.table
    found = check_alone(run, truth.task, edition, ids=table.image_ids, answers=table.cells, strict=strict)
    unknown = set(run.image_ids).difference(table.image_ids)
    if len(unknown) >= NEARLY_ALL * len(run.image_ids) and (split := other_split(run, truth, edition)):
        cause = finding("R115", run.path, None, f"the ids belong to {split}, but the truth is {table.path}")
        found = without(found, cause, OF_IDS)
    return tuple(sorted((*found, *truth.findings), key=lambda item: item.severity == "note"))


def check_alone(
    run: Table,
    task: Task,
    edition: Edition,
    *,
    ids: Sequence[str] | None = None,
    answers: Sequence[Cell] = (),
    strict: bool = False,
) -> list[Finding]:
    """Return what can be said of a run without its truth.

    Args:
        run: The run.
        task: What the run should hold.
        edition: The edition whose rules apply.
        ids: The ids that it should have, in the order in which `strict` wants them; None where not known.
        answers: The answers of the truth in the order of its ids; empty where they are not known.
        strict: Add the 2026 format check.

    Raises:
        UsageFault: The edition is not one that the format check can read.
    """
    if strict and not edition.precheck:
        raise UsageFault(f"--strict checks comma-separated files of 2026; {edition.name} has another format")
    further = _conversion(run, edition, strict=strict)
    if strict and run.converted is None:
        further += precheck(run.source, task, ids or ())
    return in_order(check_run(run, edition, task, ids, answers, further=further))


def evaluate(run: Table, truth: Truth, settings: Settings, opener: Opener) -> Report:
    """Score a run against a truth.

    Args:
        run: The rows of the run.
        truth: The truth of the same task.
        settings: What to compute.
        opener: Opens the model of a metric that has one.

    Raises:
        RejectedInput: The run breaks a rule of the edition and `settings.lenient` is off, or shares no image
            with the truth.
        UsageFault: The task or truth lacks a metric or facet that the settings name.
        MissingResource: A model is missing without which a score that was asked for cannot be had.
    """
    findings = check(run, truth, settings.edition)
    if is_rejected(findings) and not settings.lenient:
        raise RejectedInput(f"{run.path} was not scored", findings)
    aligned = align(run.image_ids, run.cells, truth.table.image_ids)
    if not aligned.present.any():
        raise RejectedInput(f"{run.path} contains no image of {truth.table.path}", findings)
    steps = plan(settings, truth)
    outputs = outputs_of(steps, settings, truth)
    inputs = Inputs(run=run, truth=truth, aligned=aligned, settings=settings)
    samples: dict[str, SampleScores] = {}
    signatures: dict[str, str] = {}
    for step in steps:
        scores, options = _score(step, inputs, opener)
        for output in step.outputs:
            samples[output] = _missing_as_zero(scores[output], aligned.present)
            signatures[output] = signature(step.metric, options)
    for name in DERIVED:
        if name in outputs:
            samples[name] = derive(name, samples)
            signatures[name] = derived_signature(name, signatures)
    samples = {name: samples[name] for name in outputs}
    everything = np.ones(len(truth.table.image_ids), np.bool_)
    return Report(
        edition=settings.edition.name,
        task=truth.task,
        split=truth.split,
        notes=tuple(_notes(findings, steps, truth)),
        run=(run.path, run.sha256),
        truth=truth.inputs,
        metrics=_aggregate(samples, signatures, everything, settings.bootstrap),
        samples=samples,
        image_ids=truth.table.image_ids,
        not_computed=not_computed(settings, truth, outputs),
        concept_errors=_concept_errors(inputs),
        breakdowns={facet: _groups(facet, truth, samples, signatures, settings) for facet in settings.by},
        findings=(*findings, *_of_one_reference(steps, truth)),
        whole=truth.whole,
        chosen_by=settings.chosen_by,
    )


def plan(settings: Settings, truth: Truth) -> tuple[Step, ...]:
    """Return the metrics to compute, with the options that edition and user prescribe.

    Raises:
        UsageFault: The edition has no metric of that name for the task, or what the metric needs is missing.
    """
    _refuse_unknown(settings, truth.task)
    steps = []
    names = _wanted(settings)
    for metric in _offered(settings.edition, truth.task):
        if names and not metric.is_named(names):
            continue
        if _is_left_out(metric, settings, truth):
            continue
        whole = not names or metric.name in names
        outputs = tuple(name for name in metric.outputs if whole or name in names)
        steps.append(Step(metric=metric, options=metric.options_of(settings, truth), outputs=outputs))
    return tuple(steps)


def outputs_of(steps: Sequence[Step], settings: Settings, truth: Truth) -> tuple[str, ...]:
    """Return all scores that come of steps, derived ones too, first those of the published row of captions.

    Raises:
        MissingResource: A derived score that the settings name lacks a member.
    """
    names = _wanted(settings)
    outputs = [output for step in steps for output in step.outputs]
    outputs += [
        name for name in _derivable(settings.edition, truth.task, outputs) if not names or name in names
    ]
    for name in settings.metrics:
        if name in DERIVED and name not in outputs:
            raise MissingResource(f"--metric {name}: {_reason(name, settings, truth, outputs)}")
    row = settings.edition.captions.columns.values() if truth.task == "captions" else ()
    published = [name for name in row if name in outputs]
    return (*published, *(name for name in outputs if name not in published))


def not_computed(settings: Settings, truth: Truth, outputs: Collection[str]) -> dict[str, str]:
    """Return why scores of the edition are not computed, by the names under which it publishes them.

    Args:
        settings: Which scores are wanted: where they name some, nothing else is missing.
        truth: The truth that metrics look at for what they lack.
        outputs: The scores that are computed.
    """
    if settings.metrics:
        return {}
    missing = {
        name: output for name, output in settings.edition.columns(truth.task).items() if output not in outputs
    }
    reasons = {name: _reason(output, settings, truth, outputs) for name, output in missing.items()}
    return reasons | dict(settings.edition.captions.excluded if truth.task == "captions" else {})


def absences(settings: Settings, truth: Truth) -> dict[str, str]:
    """Return what each published score lacks here, also one without which a run would not be scored."""
    metrics = [
        metric for metric in _offered(settings.edition, truth.task) if not metric.lacks(settings, truth)
    ]
    outputs = [output for metric in metrics for output in metric.outputs]
    derived = _derivable(settings.edition, truth.task, outputs)
    return not_computed(settings, truth, [*outputs, *derived])


def available(edition: Edition, task: Task) -> tuple[str, ...]:
    """Return the names of the metrics that an edition has for a task, but for extras and those on request."""
    extras = edition.captions.extras.values()
    return tuple(
        metric.name
        for metric in _offered(edition, task)
        if not metric.request and metric.outputs[0] not in extras
    )


def _offered(edition: Edition, task: Task) -> list[Metric]:
    return [metric for metric in METRICS.values() if metric.needs == task and metric.is_offered(edition)]


def _wanted(settings: Settings) -> set[str]:
    """Return the names that the settings have and those that they are made of; none for everything."""
    return {part for name in settings.metrics for part in parts(name)}


def _derivable(edition: Edition, task: Task, outputs: Collection[str]) -> list[str]:
    """Return the derived scores that the edition publishes and whose members are among outputs or these."""
    derived: list[str] = []
    for name, score in DERIVED.items():
        if name in edition.columns(task).values() and {*outputs, *derived}.issuperset(score.members):
            derived.append(name)
    return derived


def _is_left_out(metric: Metric, settings: Settings, truth: Truth) -> bool:
    """Tell whether a metric lacks something; one that was asked for or that ranks is not left out.

    Where such a metric has a model, opening it says what is missing.

    Raises:
        UsageFault: A metric that was asked for lacks an option or a file of the truth.
    """
    is_needed = metric.is_named(settings.metrics or (settings.edition.primary(truth.task),))
    if is_needed and metric.load and not metric.request:
        return False
    reason = metric.lacks(settings, truth)
    if reason and is_needed:
        raise UsageFault(f"--metric {metric.name}: {reason}")
    return bool(reason)


def _refuse_unknown(settings: Settings, task: Task) -> None:
    """Refuse what the settings ask for and the edition does not have for the task."""
    edition = settings.edition
    metrics = _offered(edition, task)
    names = {name for metric in metrics for name in (metric.name, *metric.outputs)}
    names |= DERIVED.keys() & edition.columns(task).values()
    for name in settings.metrics:
        if name not in names:
            raise UsageFault(f"--metric {shorten(name)}: {_offer(name, names, edition, task)}")
    for metric in METRICS.values():
        name = metric.request or metric.takes
        if metric.needs == task and name and getattr(settings, name) and metric not in metrics:
            others = ", ".join(name for name, row in EDITIONS.items() if metric.is_offered(row))
            option = f"--{name.replace('_', '-')}"
            raise UsageFault(f"{option}: {edition.name} has no {metric.name}; editions with it: {others}")


def _offer(name: str, names: set[str], edition: Edition, task: Task) -> str:
    """Return what was probably meant by an unknown name, where the score exists, and what there is."""
    published = {column.lower(): output for column, output in edition.columns(task).items()}
    asked = name.lower().replace("-", "_")
    elsewhere = task_of_score(name)
    near = difflib.get_close_matches(asked, [*sorted(names), *published], 1)
    hint = f"did you mean {published.get(near[0], near[0])}? " if near else ""
    if elsewhere not in (None, task):
        hint = f"{elsewhere} have this score, but the run contains {task}; "
    return f"{hint}{edition.name} has for {task}: {', '.join(sorted(names))}"


def _score(step: Step, inputs: Inputs, opener: Opener) -> tuple[Mapping[str, SampleScores], Options]:
    """Return the scores of a metric by output, and its options with the identity of its model."""
    metric, options = step.metric, step.options
    with opener(metric, options) if metric.load else nullcontext() as resource:
        options = metric.identify(options, resource) if metric.identify else options
        return metric.score(*metric.columns(inputs), options, resource), options


def _missing_as_zero(scores: SampleScores, present: BoolArray) -> SampleScores:
    if present.all():
        return scores
    return replace(scores, values=np.where(present, scores.values, 0.0))


def _aggregate(
    samples: Mapping[str, SampleScores],
    signatures: Mapping[str, str],
    among: BoolArray,
    bootstrap: Bootstrap | None,
) -> dict[str, MetricResult]:
    """Return the mean of each score over some of the images."""
    results = {}
    for name, scores in samples.items():
        chosen = SampleScores(values=scores.values[among], scored=scores.scored[among])
        results[name] = MetricResult(
            mean=chosen.mean,
            interval=interval(chosen, bootstrap) if bootstrap else None,
            n=chosen.n,
            unscored=len(chosen) - chosen.n,
            signature=signatures[name],
        )
    return results


def _groups(
    facet: str,
    truth: Truth,
    samples: Mapping[str, SampleScores],
    signatures: Mapping[str, str],
    settings: Settings,
) -> tuple[Group, ...]:
    groups = group_images(facet, truth)
    group_of_image = np.array(groups)
    members = {name: group_of_image == name for name in order_of(facet, groups)}
    return tuple(
        Group(
            name=name,
            images=int(among.sum()),
            metrics=_aggregate(samples, signatures, among, settings.bootstrap),
        )
        for name, among in members.items()
    )


def _concept_errors(inputs: Inputs) -> ConceptErrors | None:
    if inputs.truth.task != "concepts":
        return None
    candidates, references, _ = inputs.concepts
    return concept_errors(candidates, references, inputs.truth.names)


def _reason(output: str, settings: Settings, truth: Truth, outputs: Collection[str]) -> str:
    """Return why an output is not computed: what its metric lacks, or what the missing members lack."""
    if output not in DERIVED:
        return metric_of(output).lacks(settings, truth) or "not computed"
    names = {column: name for name, column in settings.edition.columns("captions").items()}
    missing = [part for part in parts(output) if part not in outputs and part not in DERIVED]
    return "needs " + ", ".join(
        f"{names[part]} ({_reason(part, settings, truth, outputs)})" for part in missing
    )


def _conversion(run: Table, edition: Edition, *, strict: bool) -> list[Finding]:
    """Return a finding where the run was converted, with the command that writes a file for the platform."""
    if run.converted is None:
        return []
    path, stem = run.path, file_name(run.path).partition(".")[0]
    if path == STDIN_NAME:
        path, stem = "-", ""
    name = f"{stem or 'run'}.csv"
    if name == file_name(run.path):
        name = f"{name.removesuffix('.csv')}.{edition.name}.csv"
    command = f"rocov2-eval convert {shlex.quote(path)} -o {shlex.quote(name)} --edition {edition.name}"
    message = f"the platform does not accept this file ({run.converted}): `{command}` writes an accepted one"
    return [finding("R008", run.path, None, message, severity="error" if strict else "warning")]


def _of_one_reference(steps: Sequence[Step], truth: Truth) -> Iterator[Finding]:
    names = [step.metric.name for step in steps if step.metric.weighs_by_idf(step.options)]
    if names and len(truth.table.image_ids) == 1:
        yield finding("R505", truth.table.path, None, f"{' and '.join(names)}: 0 for any run")


def _notes(findings: Sequence[Finding], steps: Sequence[Step], truth: Truth) -> Iterator[str]:
    if truth.whole is not None:
        part = len(truth.table.image_ids)
        yield f"--subset: {part:,} of the {counted(truth.whole, 'image')} of the truth were scored"
    errors = sum(item.severity == "error" for item in findings)
    if errors:
        number = counted(errors, "error")
        yield f"--lenient accepted {number}; the official evaluator rejects this run"
    yield from (item.message for item in findings if item.code == "R008" and item.severity == "warning")
    for step in steps:
        yield from step.metric.notes(step.options)
