"""Recipes: what comes with the program is whole, and what is wrong is told by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baselines.config import read_recipe, recipe_names
from rocov2_eval.errors import MissingResource, RejectedInput, UsageFault


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_says_what_it_is_for_and_where_it_runs(name: str) -> None:
    recipe = read_recipe(name)

    assert recipe.name == name
    assert any(word in recipe.run.about for word in ("GPU", "CPU"))


def test_every_recipe_stands_in_the_documentation(pytestconfig: pytest.Config) -> None:
    text = (pytestconfig.rootpath / "docs/baselines.md").read_text(encoding="utf-8")

    assert [name for name in recipe_names() if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", recipe_names())
def test_the_document_of_a_recipe_reads_back_as_the_same_recipe(name: str, tmp_path: Path) -> None:
    recipe = read_recipe(name)
    lines = []
    for table, keys in recipe.document().items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
    (tmp_path / f"{name}.toml").write_text("\n".join(lines))

    assert read_recipe(str(tmp_path / f"{name}.toml")) == recipe


@pytest.mark.parametrize(
    ("override", "table", "key", "value"),
    [
        ("training.epochs=3", "training", "epochs", 3),
        ("training.rate = 1e-4", "training", "rate", 1e-4),
        ("data.licences=['CC BY', 'CC0']", "data", "licences", ("CC BY", "CC0")),
        ("data.fit=squash", "data", "fit", "squash"),
        ("data.allow_broken=true", "data", "allow_broken", True),
    ],
)
def test_an_override_is_typed_as_toml_has_it(override: str, table: str, key: str, value: object) -> None:
    assert getattr(read_recipe("concepts_nano", [override]).tables[table], key) == value


def test_the_last_override_of_a_key_holds() -> None:
    recipe = read_recipe("concepts_nano", ["training.epochs=3", "training.epochs=4"])

    assert recipe.tables["training"].epochs == 4


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("[run]\ntask = 'concepts'\n[run]", RejectedInput, "not TOML"),
        ("[data]\nside = 64", UsageFault, "task: None, expected concepts"),
        ("run = 1", UsageFault, "task: None, expected concepts"),
        ("training = 2\n[run]\ntask = 'concepts'", UsageFault, "'training' is not a table"),
        ("[run]\ntask = 'concepts'\n[generation]\nbeams = 2", UsageFault, "'generation' is not a table"),
        ("[run]\ntask = 'concepts'\nseed = -1", UsageFault, "seed: -1, expected a whole number >= 0"),
        (
            "[run]\ntask = 'concepts'\n[data]\nvalid = 'train'",
            UsageFault,
            "decisions need images that were not trained on",
        ),
        ("[run]\ntask = 'concepts'\n[network]\nspec = 'x'", UsageFault, "spec: 'x', expected one of nano"),
        ("[run]\ntask = 'concepts'\n[augment]\ncrop = 0.0", UsageFault, "crop: 0.0, expected a number > 0"),
        ("[run]\ntask = 'filter'\n[filter]\ntask = 'dogs'", UsageFault, "expected 'compound' or 'radiology'"),
        ("[run]\ntask = 'captions'\n[captioner]\nlora_rank = 8", UsageFault, "adapters need a frozen"),
        (
            "[run]\ntask = 'concepts'\n[training]\nwarmup = 1.5",
            UsageFault,
            "warmup: 1.5, expected",
        ),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(
    tmp_path: Path, text: str, error: type[Exception], told: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)

    with pytest.raises(error, match=told):
        read_recipe(str(path))


@pytest.mark.parametrize(
    ("name", "told"),
    [("concepts_b9", "did you mean concepts_b0"), ("zzz", "expected one of captions_biomedlm,")],
)
def test_an_unknown_name_suggests_the_recipe_that_was_meant_or_lists_all(name: str, told: str) -> None:
    with pytest.raises(MissingResource, match=told):
        read_recipe(name)
