"""Score one run: read, check, align, score, aggregate. The only loop over the metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rocov2_eval.align import Aligned, align, joint_sets
from rocov2_eval.breakdown import group_images, order_of
from rocov2_eval.concept_cells import ragged, taken
from rocov2_eval.concept_errors import ConceptErrors, concept_errors
from rocov2_eval.editions import DEFAULT_EDITION, EDITIONS, MEDCAT_F1, Edition, caption_rules
from rocov2_eval.errors import RejectedInput, UsageFault
from rocov2_eval.findings import is_rejected
from rocov2_eval.formats import Source, Table
from rocov2_eval.metric import Metric, Options
from rocov2_eval.metrics import METRICS
from rocov2_eval.metrics.bertscore import BertScoreOptions
from rocov2_eval.metrics.concept_f1 import ConceptF1Options
from rocov2_eval.metrics.concept_f1_manual import ConceptF1ManualOptions
from rocov2_eval.metrics.rouge import RougeOptions
from rocov2_eval.metrics.umls_f1 import UmlsF1Options
from rocov2_eval.models import ENCODERS
from rocov2_eval.precheck import precheck
from rocov2_eval.records import BoolArray, ConceptSets, Finding, MetricResult, SampleScores, Task
from rocov2_eval.resampling import Bootstrap, interval
from rocov2_eval.signature import signature
from rocov2_eval.textnorm import normalise
from rocov2_eval.truth import Truth
from rocov2_eval.validation import check_run, guess_dialect

Opener = Callable[[Metric, Options], AbstractContextManager[Any]]
# Computed where a model pack is named: none is free to come with this toolkit.
_ON_REQUEST = "umls_f1"
Columns = tuple[Sequence[str], Sequence[str]] | tuple[ConceptSets, ConceptSets]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to compute of a run.

    Attributes:
        edition: Whose rules.
        metrics: Names of metrics or of their outputs; empty for all of the task.
        by: Facets to break the scores down by.
        bootstrap: How intervals are made, None for none.
        lenient: Score what can be scored; a missing image counts 0.
        encoder: Name or folder of the text encoder of BERTScore.
        layer: Layer of the encoder, None for its own.
        precision: `fp32`, or `bf16`, which is not official.
        concept_model: Folder or archive of the model pack of `umls_f1`, None to leave that metric out.
        concept_types: Semantic types that `umls_f1` counts, empty for all.
    """

    edition: Edition = EDITIONS[DEFAULT_EDITION]
    metrics: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    bootstrap: Bootstrap | None = field(default_factory=Bootstrap)
    lenient: bool = False
    encoder: str = "deberta-xlarge-mnli"
    layer: int | None = None
    precision: str = "fp32"
    concept_model: str | None = None
    concept_types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Group:
    """One row of a breakdown."""

    name: str
    images: int
    metrics: Mapping[str, MetricResult]


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Everything known of a run after scoring.

    Attributes:
        edition: Name of the edition.
        task: Concepts or captions.
        split: Of the truth, None where unknown.
        notes: Why the scores may not stand beside official ones; empty if they may.
        run: Path and SHA-256 of the run.
        truth: Path and SHA-256 of every truth file.
        metrics: By output name, the main score first.
        samples: Score of each image by output name, in truth order.
        image_ids: In the same order.
        not_computed: Reason by metric of the edition that is not computed.
        concept_errors: None for captions.
        breakdowns: Groups by facet.
        findings: Of run and truth.
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


@dataclass(frozen=True, kw_only=True)
class _Planned:
    metric: Metric
    options: Options
    outputs: tuple[str, ...]


def check(
    source: Source, run: Table, truth: Truth, edition: Edition, *, strict: bool = False
) -> tuple[Finding, ...]:
    """Return every finding of a run, the truth's own included; `strict` adds the 2026 format check.

    Raises:
        UsageFault: The edition is not one that the format check can read.
    """
    table = truth.table
    dialect = (edition.captions or edition.concepts if truth.task == "captions" else edition.concepts).dialect
    found = guess_dialect(source, dialect)
    found += check_run(run, edition, truth.task, table.image_ids, table.cells)
    if strict and not edition.precheck:
        raise UsageFault(f"--strict is the 2026 check of comma-separated files; {edition.name} has others")
    if strict:
        found += precheck(source, truth.task, table.image_ids)
    ordered = sorted(found, key=lambda item: (item.line is None, item.line or 0, item.code))
    return (*ordered, *truth.findings)


def evaluate(source: Source, run: Table, truth: Truth, settings: Settings, open_resource: Opener) -> Report:
    """Score a run against a truth.

    Args:
        source: The run's text.
        run: Its rows.
        truth: The truth of the same task.
        settings: What to compute.
        open_resource: Opens the model of a metric that has one.

    Raises:
        RejectedInput: The run breaks a rule of the edition and `settings.lenient` is off, or shares no image
            with the truth.
        UsageFault: A metric or facet that the task or truth does not have.
    """
    found = check(source, run, truth, settings.edition)
    errors = [item for item in found if item.severity == "error"]
    if is_rejected(found) and not settings.lenient:
        raise RejectedInput(f"{run.path} is not scored", found)
    aligned = align(run.image_ids, run.cells, truth.table.image_ids)
    if not aligned.present.any():
        raise RejectedInput(f"{run.path} has no image of {truth.table.path}", found)
    planned = list(_plan(settings, truth))
    columns = _columns(settings.edition, run, truth, aligned)
    samples: dict[str, SampleScores] = {}
    signatures: dict[str, str] = {}
    for item in planned:
        metric, options = item.metric, item.options
        with open_resource(metric, options) if metric.load else nullcontext() as resource:
            options = metric.identify(options, resource) if metric.identify else options
            scores = metric.score(*columns[metric.name], options, resource)
        for output in item.outputs:
            samples[output] = _missing_as_zero(scores[output], aligned.present)
            signatures[output] = signature(metric, options)
    everything = np.ones(len(truth.table.image_ids), np.bool_)
    return Report(
        edition=settings.edition.name,
        task=truth.task,
        split=truth.split,
        notes=tuple(_notes(settings, errors, samples)),
        run=(run.path, run.sha256),
        truth=truth.inputs,
        metrics=_aggregate(samples, signatures, everything, settings.bootstrap),
        samples=samples,
        image_ids=truth.table.image_ids,
        not_computed=_not_computed(settings, truth, samples),
        concept_errors=_label_errors(columns, truth),
        breakdowns={facet: _groups(facet, truth, samples, signatures, settings) for facet in settings.by},
        findings=found,
    )


def planned_signatures(settings: Settings, truth: Truth) -> tuple[str, ...]:
    """Return the signature of each metric to compute; a model by the name that was asked for.

    Raises:
        UsageFault: A metric that the task or truth does not have.
    """
    return tuple(signature(item.metric, item.options) for item in _plan(settings, truth))


def available(edition: Edition, task: Task) -> tuple[str, ...]:
    """Return the names of the metrics that an edition has for a task, but for the one on request."""
    names = [name for name, metric in METRICS.items() if metric.needs == task and name != _ON_REQUEST]
    if not edition.concepts.manual_cuis:
        names = [name for name in names if name != "concept_f1_manual"]
    return tuple(names)


def _plan(settings: Settings, truth: Truth) -> Iterator[_Planned]:
    """Yield the metrics to compute with the options that the edition prescribes."""
    names = (*available(settings.edition, truth.task), *_on_request(settings, truth.task))
    outputs = {output for name in names for output in METRICS[name].outputs}
    for wanted in settings.metrics:
        if wanted not in names and wanted not in outputs:
            if _has_umls_f1(settings.edition, truth.task) and wanted in METRICS[_ON_REQUEST].outputs:
                raise UsageFault(f"--metric {wanted} needs a model pack of MedCAT: add --concept-model PACK")
            offered = ", ".join(sorted({*names, *outputs}))
            raise UsageFault(f"--metric {wanted}: {settings.edition.name} offers for {truth.task}: {offered}")
    for name in names:
        metric = METRICS[name]
        if name == "concept_f1_manual" and truth.manual is None:
            if name in settings.metrics:
                raise UsageFault(f"--metric {name} needs the concepts_manual.csv beside {truth.table.path}")
            continue
        chosen = tuple(
            output
            for output in metric.outputs
            if not settings.metrics or name in settings.metrics or output in settings.metrics
        )
        if chosen:
            yield _Planned(metric=metric, options=_OPTIONS[name](settings, truth), outputs=chosen)


def _on_request(settings: Settings, task: Task) -> tuple[str, ...]:
    """Return the metric that a model pack is named for, if one is and the task is that of captions."""
    if task != "captions" or settings.concept_model is None:
        return ()
    if not _has_umls_f1(settings.edition, task):
        offered = ", ".join(name for name, other in EDITIONS.items() if _has_umls_f1(other, task))
        raise UsageFault(
            f"--concept-model: {settings.edition.name} has no {MEDCAT_F1}; editions with it: {offered}"
        )
    return (_ON_REQUEST,)


def _has_umls_f1(edition: Edition, task: Task) -> bool:
    return task == "captions" and edition.captions is not None and edition.captions.umls_f1


def _concept_f1(settings: Settings, _: Truth) -> Options:
    rules = settings.edition.concepts
    return ConceptF1Options(
        empty_reference=rules.empty_reference, strip=rules.strip, skip_id_rows=_skips_id_rows(settings)
    )


def _concept_f1_manual(settings: Settings, _: Truth) -> Options:
    return ConceptF1ManualOptions(
        cuis=settings.edition.concepts.manual_cuis, skip_id_rows=_skips_id_rows(settings)
    )


def _rouge(settings: Settings, _: Truth) -> Options:
    rules = caption_rules(settings.edition)
    return RougeOptions(norm=rules.norm, skip_id_rows=rules.dialect.header == "id_anywhere")


def _bertscore(settings: Settings, truth: Truth) -> Options:
    rules = caption_rules(settings.edition)
    return BertScoreOptions(
        encoder=settings.encoder,
        layer=settings.layer,
        idf=rules.idf,
        idf_corpus=_digest(truth, rules.norm) if rules.idf else None,
        norm=rules.norm,
        skip_id_rows=rules.dialect.header == "id_anywhere",
        precision=settings.precision,
    )


def _umls_f1(settings: Settings, _: Truth) -> Options:
    return UmlsF1Options(pack=settings.concept_model, types=tuple(sorted(set(settings.concept_types))))


def _digest(truth: Truth, norm: str) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of the normalised references."""
    corpus = "\0".join(normalise([cell or "" for cell in truth.table.cells], norm))
    return hashlib.sha256(corpus.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _skips_id_rows(settings: Settings) -> bool:
    return settings.edition.concepts.dialect.header == "id_anywhere"


_OPTIONS: Mapping[str, Callable[[Settings, Truth], Options]] = {
    "concept_f1": _concept_f1,
    "concept_f1_manual": _concept_f1_manual,
    "bertscore": _bertscore,
    "rouge": _rouge,
    "umls_f1": _umls_f1,
}


def _columns(edition: Edition, run: Table, truth: Truth, aligned: Aligned) -> dict[str, Columns]:
    """Return candidates and references of each metric of the task."""
    table = truth.table
    if truth.task == "captions":
        texts = [cell or "" for cell in aligned.cells], [cell or "" for cell in table.cells]
        return dict.fromkeys((name for name, metric in METRICS.items() if metric.needs == "captions"), texts)
    manual = ragged(truth.manual or [None] * len(table.cells))
    given = taken(run.concepts, aligned.rows)
    sets, gold, curated = joint_sets(given, table.concepts, manual, strip=edition.concepts.strip)
    return {"concept_f1": (sets, gold), "concept_f1_manual": (sets, curated)}


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
    """Average the scores of the images among which to look."""
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


def _label_errors(columns: Mapping[str, Columns], truth: Truth) -> ConceptErrors | None:
    if truth.task != "concepts":
        return None
    candidates, references = columns["concept_f1"]
    assert isinstance(candidates, ConceptSets)
    assert isinstance(references, ConceptSets)
    return concept_errors(candidates, references, truth.names)


def _not_computed(settings: Settings, truth: Truth, samples: Mapping[str, SampleScores]) -> dict[str, str]:
    edition = settings.edition
    if truth.task == "captions":
        names = edition.captions.not_computed if edition.captions else ()
        reasons = dict.fromkeys(names, "not implemented in this toolkit")
        if MEDCAT_F1 in reasons and settings.concept_model is None:
            return reasons | {MEDCAT_F1: "needs a model pack of MedCAT: --concept-model PACK"}
        return {name: reason for name, reason in reasons.items() if name != MEDCAT_F1}
    wanted = not settings.metrics and edition.concepts.manual_cuis
    if wanted and "concept_f1_manual" not in samples:
        return {"concept_f1_manual": f"no concepts_manual.csv beside {truth.table.path}"}
    return {}


def _notes(
    settings: Settings, errors: Sequence[Finding], samples: Mapping[str, SampleScores]
) -> Iterator[str]:
    if errors:
        noun = "error" if len(errors) == 1 else "errors"
        yield f"--lenient in spite of {len(errors)} {noun}: the official evaluator rejects this run"
    if any(name in METRICS[_ON_REQUEST].outputs for name in samples):
        yield (
            "umls_f1 is not comparable with the official MedCAT F1, which takes MedCAT 1 and a model pack "
            "that may not be redistributed"
        )
    if not any(name in METRICS["bertscore"].outputs for name in samples):
        return
    row = ENCODERS.get(settings.encoder)
    if row is None or not row.official:
        yield f"BERTScore with encoder {settings.encoder} is not comparable with official scores"
    elif settings.layer not in (None, row.layer):
        yield f"BERTScore at layer {settings.layer}: the official layer is {row.layer}"
    if settings.precision != "fp32":
        yield f"BERTScore in {settings.precision}: the official precision is fp32"
