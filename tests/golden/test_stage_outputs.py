"""What each stage makes of a small build, so that no output changes without its revision."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import pytest

from dataset_builder.stages import STAGES

from stage_outputs import RECORDED, stage_outputs

_RECORD = "record again by `python tools/record_stage_outputs.py`"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return stage_outputs(tmp_path_factory.mktemp("build"))


@pytest.mark.parametrize("library", sorted({name for stage in STAGES for name in stage.libraries}))
def test_a_library_that_decides_an_output_is_a_distribution(library: str) -> None:
    assert version(library)


@pytest.mark.parametrize("name", [stage.name for stage in STAGES])
def test_a_stage_makes_what_it_made_at_this_revision(outputs: dict[str, dict[str, Any]], name: str) -> None:
    now, recorded = outputs[name], json.loads(RECORDED.read_text(encoding="utf-8"))[name]

    same_input = now["input"] == recorded["input"]
    if same_input and now["revision"] == recorded["revision"] and now["output"] != recorded["output"]:
        pytest.fail(f"the output of {name} changed: raise Stage.revision of {name} and {_RECORD}")
    assert now == recorded, f"revision or input of {name} changed: {_RECORD}"
