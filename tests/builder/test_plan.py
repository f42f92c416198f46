"""The plan of a build: an inventory of names alone, as large as all of PMC, must not cost much."""

from __future__ import annotations

import io
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dataset_builder.cli import run
from dataset_builder.pmc.inventory import CHOICE, NUMBERS
from dataset_builder.running.config import Build, read_build
from dataset_builder.running.plan import PLAN, Past, option_digests, plan_shards, tasks_of
from dataset_builder.running.worker import source_of
from dataset_builder.stages import STAGES
from dataset_builder.store import open_store
from rocov2_eval.errors import RejectedInput


def build_of(folder: Path, articles: int, shards: int) -> Build:
    """Return a build whose inventory has been fetched: names, and nothing that could be read."""
    (folder / "build.toml").write_text(
        f'[build]\nshards = {shards}\n[source]\nkind = "s3"\ninventory = true\n'
    )
    build = read_build(folder / "build.toml")
    numbers = io.BytesIO()
    np.save(numbers, np.arange(1, articles + 1, dtype=np.int64))
    open_store(build.work).write(CHOICE, b"made up")
    open_store(build.work).write(NUMBERS, numbers.getvalue())
    return build


def test_a_plan_takes_few_bytes_an_article(tmp_path: Path) -> None:
    articles = 20_000
    for folder, n in (("few", 10), ("many", articles)):  # the first loads the modules
        (tmp_path / folder).mkdir()
        build = build_of(tmp_path / folder, n, 4)
        store, source = open_store(build.work), source_of(build, 1)
        if folder == "few":
            plan_shards(build, store, source)
    tracemalloc.start()
    plan_shards(build, store, source)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most / articles < 110  # of 8 million articles less than a gigabyte, with all that was imported


def test_every_article_of_an_inventory_is_in_one_shard(tmp_path: Path) -> None:
    build = build_of(tmp_path, 1000, 0)
    store = open_store(build.work)
    past = plan_shards(build, store, source_of(build, 1))
    lines = [
        line for shard in past.records for line in (store.read(f"stages/plan/{shard}.jsonl") or b"").split()
    ]
    assert sorted(lines) == sorted(f'{{"pmcid":"PMC{number}"}}'.encode() for number in range(1, 1001))
    assert len(past.records) == 8


def test_tasks_are_made_in_time_that_grows_with_the_shards_alone(tmp_path: Path) -> None:
    build = build_of(tmp_path, 10, 0)
    shards = {f"{i:05d}-of-08192": "digest" for i in range(8192)}
    past = Past(stage=PLAN, records=shards, states=shards, provenance={})
    options = option_digests(STAGES[0], build)
    start = time.process_time()
    tasks = tasks_of(STAGES[0], past, build, options, store=open_store(build.work))
    assert len({task.shard for task in tasks}) == 8192
    assert time.process_time() - start < 3  # it took 13 s when each task looked at every shard


def test_an_empty_inventory_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = build_of(tmp_path, 0, 0)
    with pytest.raises(RejectedInput, match="no article found"):
        plan_shards(build, open_store(build.work), source_of(build, 1))
    assert run(["run", str(tmp_path / "build.toml"), "--workers", "1"]) == 1
    assert "no article found" in capsys.readouterr().err
