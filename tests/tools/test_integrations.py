"""What others start us with: the action of GitHub, the hook of pre-commit, the image, the citation."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rocov2_eval import __version__
from rocov2_eval.cli import invoke
from rocov2_eval.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")  # as GitHub starts it for `shell: bash`
RUNS = ROOT / "submissions/example-team"


def valued(expression: str, inputs: Mapping[str, str]) -> str:
    """Return the value of an expression of GitHub: inputs, texts, and `||`, `!=` between them."""
    for part in (each.strip() for each in expression.split("||")):
        left, mark, right = (each.strip() for each in part.partition("!="))
        value = inputs[left.removeprefix("inputs.")]
        if mark:
            value = "true" * (value != right.strip("'"))
        if value:
            return value
    return ""


def step(name: str, **given: str) -> subprocess.CompletedProcess[str] | None:
    """Run a step in a repository as GitHub does; None for one whose condition is not met."""
    assert given.keys() <= ACTION["inputs"].keys()
    inputs = {key: given.get(key, row["default"]) for key, row in ACTION["inputs"].items()}
    row = STEPS[name]
    if not valued(row["if"], inputs) if "if" in row else False:
        return None
    made = {
        key: re.sub(r"\$\{\{(.*?)\}\}", lambda match: valued(match[1].strip(), inputs), text)
        for key, text in row["env"].items()
    }
    Path("../step.sh").write_text(row["run"], encoding="utf-8")
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "GITHUB_ACTION_PATH": str(ROOT)} | made
    return subprocess.run([*BASH, "../step.sh"], env=env, capture_output=True, text=True, timeout=300)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a checkout with three submissions, one in a folder with a blank in its name."""
    folder = tmp_path / "a checkout"
    shutil.copytree(RUNS, folder / "submissions/example-team")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ROCOV2_DATA", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "add", "."], check=True)
    return folder


def test_no_step_of_the_action_lets_an_input_into_its_script() -> None:
    assert list(STEPS) == ["Install", "Validate", "Gate"]
    assert [name for name, row in STEPS.items() if "${{" in row["run"] or row["shell"] != "bash"] == []


def test_faultless_submissions_pass_the_action(repository: Path) -> None:
    assert repository.is_dir()
    done = step("Validate", edition="rocov2")
    assert done is not None
    assert (done.returncode, "::error" in done.stdout) == (ExitCode.OK, False)
    assert done.stderr.count("PASSED") == 6


def test_a_fault_is_an_annotation_and_fails_the_action(repository: Path) -> None:
    run = repository / "submissions/example-team/nearest-picture/run.csv"
    run.write_text(run.read_text(encoding="utf-8").rpartition("sample_")[0], encoding="utf-8")
    done = step("Validate")
    assert done is not None
    assert done.returncode == ExitCode.INPUT_REJECTED
    assert "::error file=submissions/example-team/nearest-picture/run.csv," in done.stdout


@pytest.mark.parametrize("files", ["runs/*.csv\n", "", "\n \n"])
def test_patterns_without_a_file_fail_the_action(repository: Path, files: str) -> None:
    assert repository.is_dir()
    for name, title in (("Validate", "Nothing to validate"), ("Gate", "Nothing to score")):
        done = step(name, files=files, minimum="concept_f1=0.1")
        assert done is not None
        assert (done.returncode, done.stdout.startswith(f"::error title={title}::")) == (1, True)


def test_without_a_bar_nothing_is_scored(repository: Path) -> None:
    assert repository.is_dir()
    assert step("Gate") is None


def test_the_gate_of_the_action_passes_and_fails(repository: Path) -> None:
    shutil.copytree(repository / "submissions/example-team/nearest-picture", "runs/of a team")
    subprocess.run(["git", "add", "."], check=True)
    bars = {"gated": "runs/*/run.csv", "baseline": "runs/of a team/result.json"}
    passed = step("Gate", minimum="concept_f1=0.33\nconcept_recall=0.3\n", **bars)
    failed = step("Gate", minimum="concept_f1=0.33\nconcept_recall=0.4", **bars)
    assert (passed and passed.returncode, failed and failed.returncode) == (ExitCode.OK, ExitCode.BAR_NOT_MET)
    assert passed is not None
    assert failed is not None
    assert "::error" not in passed.stdout
    place = "::error file=runs/of a team/run.csv,title=The bar is not met::"
    assert f"{place}concept_recall is 0.3795; expected 0.4000 or more" in failed.stdout


def test_the_gate_of_the_action_scores_runs_beside_their_metadata(repository: Path) -> None:
    assert repository.is_dir()
    passed = step("Gate", minimum="concept_f1=0.33", gated="submissions/*/nearest-picture/*.*")
    assert passed is not None
    assert (passed.returncode, passed.stdout.count("::notice file=")) == (ExitCode.OK, 1)


def test_an_input_is_data_and_never_a_command(repository: Path) -> None:
    evil = "'; touch evil; $(touch evil) `touch evil`"
    for name in ("Validate", "Gate"):
        step(name, files=f"{evil}\nsubmissions/*/*/run.csv", edition=evil, minimum=evil)
    assert not (repository / "evil").exists()


@pytest.mark.slow
def test_the_action_installs_itself(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From what this machine has: what is installed already, and no connection."""
    assert repository.is_dir()
    source, target = tmp_path / "action", tmp_path / "target"
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in os.fsdecode(listed).split("\0")[:-1]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    options = {"NO_INDEX": "1", "NO_DEPS": "1", "NO_BUILD_ISOLATION": "0", "TARGET": str(target)}
    for name, value in options.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", source)
    done = step("Install", extras="parquet")
    assert done is not None
    assert done.returncode == 0, done.stderr
    assert (target / "rocov2_eval/schema/result.json").is_file()


def test_the_hook_takes_runs_and_metadata_and_runs_a_command_of_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (hook,) = HOOKS
    names = ["submissions/example-team/nearest-picture/run.csv", "a/b/submission.json", "run.zip"]
    others = ["a/result.json", "a/my-run.csv", "a/run.csv.bak", "a/xsubmission.json"]
    assert [name for name in [*names, *others] if re.search(hook["files"], name)] == names
    program, *words = shlex.split(hook["entry"])
    assert (program, hook["language"]) == ("rocov2-eval", "python")
    assert invoke([*words, names[0]]) == ExitCode.OK, capsys.readouterr().err


def instructions(text: str) -> dict[str, list[str]]:
    """Return the instructions of a Dockerfile by their names."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            found.setdefault(name, []).append(rest)
    return found


def test_the_image_is_made_of_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    found = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert set(found) == {"FROM", "COPY", "RUN", "ENV"}  # the platform wants neither ENTRYPOINT nor USER
    install, fetch = found["RUN"]
    assert "-c /src/constraints.txt" in install
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    (extras,) = re.findall(r'"/src\[(.+)\]"', install)
    assert [extra for extra in extras.split(",") if f'"{extra}": ' not in setup] == []
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    (version,) = re.findall(r"\(Python (3\.\d+)\)", pinned)
    assert found["FROM"] == [f"python:{version}-slim"]
    assert invoke([*shlex.split(fetch)[1:], "--help"]) == ExitCode.OK
    assert "imageclef-2026" in capsys.readouterr().out


def test_the_image_is_given_what_its_installation_reads() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    given = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert {"setup.py", "pyproject.toml", "README.md", "constraints.txt"} <= given
    assert {path.parent.name for path in ROOT.glob("*/py.typed")} <= given
    assert [name for name in given if not (ROOT / name).exists()] == []


def test_the_pages_name_one_image() -> None:
    pages = [ROOT / "README.md", ROOT / "docs/codabench.md"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert set(re.findall(r"[\w./]+/rocov2-eval:[\w.]+", text)) == {
        f"registry.example.org/rocov2-eval:{__version__}"
    }


def test_the_citation_is_that_of_this_version() -> None:
    citation: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    required = {"cff-version", "message", "title", "authors"}
    assert (required - citation.keys(), citation["cff-version"]) == (set(), "1.2.0")
    assert (citation["version"], citation["license"]) == (__version__, "Apache-2.0")
    assert all(author.keys() == {"name"} for author in citation["authors"])
