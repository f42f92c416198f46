"""The model card of a run: what it is and was made of, how well it does, what it must not be used for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import convert

from baselines.concepts import Unlearnt
from baselines.looking import doubts

_LIMITS = """\
Research only. Not a medical device: not for diagnosis, triage or any decision about a patient. It has seen
figures of publications, not clinical images; what is rare there, it hardly knows. Scores say how well it
agrees with captions and labels, not with a radiologist.
"""
_RAIL = """\
Its decoder was BioMedLM (stanford-crfm/BioMedLM), published under the BigScience BLOOM RAIL licence 1.0. The
restrictions of use of that licence hold for these weights too; whoever passes them on must pass these terms
on.
"""
_ON_THE_HUB = re.compile(r"[\w.-]+/[\w.-]+")
# Words of the Hub for licences that weights made of radiology figures may have, and for metrics.
_LICENCES = (
    *("apache-2.0", "mit", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
    *("cc-by-nc-3.0", "cc-by-nc-sa-4.0", "bigscience-bloom-rail-1.0", "openrail"),
)
_HUB_METRICS = {"valid_concept_f1": "f1", "valid_rouge1": "rouge", "valid_bertscore_f1": "bertscore"}
_RAIL_WEIGHTS = ("biomedlm", "pubmedgpt", "rail")


def model_card(
    record: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], rules: Sequence[Mapping[str, str]]
) -> str:
    """Return the card as Markdown.

    Args:
        record: Content of `run.json`.
        metrics: Lines of `metrics.jsonl`; none where nothing is trained.
        rules: Rows of `decisions.csv`, what each decision rule is worth; none for captions.
    """
    recipe, data = record["recipe"], record["data"]
    images = f"{data['train']['images']:,} training and {data['valid']['images']:,} validation images"
    weights = _weights(record)
    lines = [
        f"# {record['name']}: {recipe['run']['task']}",
        "",
        recipe["run"]["about"] or "No description in the recipe.",
        "",
        "## Limits",
        "",
        _LIMITS,
        *([_RAIL] if any(word in weight.lower() for weight in weights for word in _RAIL_WEIGHTS) else []),
        "## Data",
        "",
        f"{images} of `{_name(data)}`.",
        "The images keep their own licences, CC BY and CC BY-NC in a dataset like ROCOv2; its attribution",
        "table names whom to credit. Non-commercial images make these weights unfit for commercial use.",
        "",
        _origin(recipe, weights),
        "",
        *_bases(record),
        "## Scores",
        "",
        (
            "These scores are of the validation split, which also selected the epoch and the decision "
            "rule: other images may score lower."
        ),
        "",
        *_scores(record.get("scores", {})),
        *_doubts(record.get("scores", {})),
        *_unlearnt(record),
    ]
    if rules:
        lines += ["", "| rule | validation F1 | over fixed 0.5 |", "|---|---|---|"]
        lines += [
            f"| {row['rule']} | {float(row['valid_f1']):.4f} | {float(row['gain_over_half']):+.4f} |"
            for row in rules
        ]
        lines += ["", "Each half of the split is decided by a rule that was fitted on the other half."]
    if metrics:
        lines += ["", "## Training", "", *_training(record, metrics)]
    return "\n".join(lines) + "\n"


def _bases(record: Mapping[str, Any]) -> list[str]:
    """Return what somebody needs beside these weights."""
    named = [
        f"`{_last(base['source'])}` (frozen weights of SHA-256 {base['sha256'][:16]}…)"
        for base in record.get("bases", {}).values()
    ]
    return [f"They contain only what training changed, and need {' and '.join(named)}.", ""] if named else []


def hub_head(record: Mapping[str, Any], licence: str, pipeline: str) -> str:
    """Return what the Hub reads at the head of a model card, as YAML between its marks.

    Args:
        record: Content of `run.json`.
        licence: Licence of the weights; one that the Hub has no word for stands there by its name.
        pipeline: What the Hub calls the task.
    """
    from huggingface_hub import EvalResult, ModelCardData

    word = licence.lower().replace(" ", "-")
    named = {"license": word} if word in _LICENCES else {"license": "other", "license_name": licence}
    dataset = _name(record["data"])
    scores = [
        EvalResult(
            task_type=pipeline,
            dataset_type=dataset,
            dataset_name=dataset,
            dataset_split=record["recipe"]["data"]["valid"],
            metric_type=_HUB_METRICS[name],
            metric_name=name,
            metric_value=value,
        )
        for name, value in record.get("scores", {}).items()
        if name in _HUB_METRICS
    ]
    head = ModelCardData(
        **named,
        library_name="transformers",
        pipeline_tag=pipeline,
        tags=["medical", "radiology", "rocov2", record["recipe"]["run"]["task"]],
        datasets=[dataset],
        metrics=sorted({each.metric_type for each in scores}),
        base_model=[name for name in record.get("licences", {}) if _ON_THE_HUB.fullmatch(name)] or None,
        model_name=record["name"],
        eval_results=scores,
    )
    return f"---\n{head.to_yaml()}\n---\n\n"


def _origin(recipe: Mapping[str, Any], weights: Sequence[str]) -> str:
    """Return the sentence that tells which weights are in it."""
    if "features" not in recipe:
        return f"Weights to start from: {', '.join(weights) or 'none, random'}."
    if not weights:
        sees = {"nothing": "every picture gets the same answer", "pixels": "thumbnails are compared"}
        return f"No network: {sees[recipe['features']['encoder']]}."
    return (
        f"Pictures are encoded by {', '.join(weights)}, which is not trained and is not part of these files."
    )


def _scores(scores: Mapping[str, Any]) -> list[str]:
    rows = [f"| {name} | {value:.4f} |" for name, value in scores.items() if isinstance(value, float)]
    return ["| score | value |", "|---|---|", *rows]


def _doubts(scores: Mapping[str, Any]) -> list[str]:
    """Return what speaks for a captioner that ignores its pictures."""
    found = doubts({name.removeprefix("valid_"): value for name, value in scores.items()})
    lines = [f"- {doubt}" for doubt in found]
    return ["", "**These captions hardly depend on the picture:**", "", *lines] if lines else []


def _unlearnt(record: Mapping[str, Any]) -> list[str]:
    """Return what of the validation split could not be learnt, and what that costs."""
    if not record.get("unlearnt"):
        return []
    return ["", f"Of the validation split, {convert(record['unlearnt'], Unlearnt).told()}."]


def _training(record: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    last = metrics[-1]
    steps, seconds = record.get("steps", last["step"]), record.get("seconds", last["seconds"])
    how = f"{record['device']}, {record['precision']}, seed {record['recipe']['run']['seed']}"
    lines = [f"{steps:,} steps in {seconds:,.0f} s on {how}."]
    if "images_per_second" in last:
        waiting = f"{100 * last['waiting']:.0f} % of the time waiting for data"
        lines.append(f"{last['images_per_second']:,.0f} images/s, {waiting}.")
    return [*lines, "", "`run.json` contains the whole recipe, digests of the data, and versions."]


def _weights(record: Mapping[str, Any]) -> list[str]:
    """Return what the run started from; the folder of a captioner knows what its first phase had, too."""
    if record.get("licences"):
        return [f"{name} ({licence})" for name, licence in record["licences"].items()]
    recipe = record["recipe"]
    tables = (recipe.get("network", {}), recipe.get("captioner", {}))
    found = [
        str(value)
        for table in tables
        for key, value in table.items()
        if key in ("init", "encoder", "decoder")
    ]
    return [name for name in found if name]


def _name(data: Mapping[str, Any]) -> str:
    return _last(str(data["folder"]))


def _last(source: str) -> str:
    """Return the last part of a whole path, which is nobody else's business; a name of the Hub as it is."""
    return source.rstrip("/").rpartition("/")[2] if source.startswith("/") else source
