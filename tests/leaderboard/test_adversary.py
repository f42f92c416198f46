"""A participant tries to learn the answers of chosen images from everything that is public.

Each probe answers a concept that nobody has for every image but one, and for this one `CT`. The
participant knows four images already, two of CT and two of X-ray, probes these too, and takes a chosen image
for CT if what is shown of its probe is more like that of the first two.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rocov2_eval.cli import invoke

IMAGES = 240
CT, XRAY = "C0040405", "C1306645"
NOTHING = "C9999999"
IDS = [f"picture_{i:03}" for i in range(IMAGES)]
CHOSEN = random.Random(7).sample(range(4, IMAGES), 20)
KNOWN = {0: CT, 1: XRAY, 2: CT, 3: XRAY}
Submit = Callable[..., Path]


def world(seed: int) -> list[str]:
    """Return a truth: the chosen images are CT or not as the seed has it, the others are always the same."""
    fixed, drawn = random.Random(1), random.Random(seed)
    cells = []
    for i in range(IMAGES):
        modality = KNOWN.get(i) or fixed.choice([CT, XRAY])
        others = fixed.sample(range(9), fixed.randint(0, 5))
        cells.append([modality, *(f"C000000{k}" for k in others)])
    for i in CHOSEN:
        cells[i] = [drawn.choice([CT, XRAY]), *(f"C000000{k}" for k in drawn.sample(range(9), 3))]
    return [";".join(cell) for cell in cells]


def write_truth(folder: Path, cells: list[str]) -> Path:
    folder.mkdir()
    for name in ("concepts", "concepts_manual"):
        (folder / f"test_{name}.csv").write_text(table(cells), encoding="utf-8")
    return folder


def table(cells: list[str]) -> str:
    return "ID,CUIs\n" + "".join(f"{i},{cell}\n" for i, cell in zip(IDS, cells, strict=True))


def probes() -> dict[str, str]:
    """Return the runs of the participant by name: one for each image that is chosen or known."""
    wrong = [NOTHING] * IMAGES
    return {name_of(image): table([*wrong[:image], CT, *wrong[image + 1 :]]) for image in (*CHOSEN, *KNOWN)}


def name_of(image: int) -> str:
    return f"probe-{image:03}"


def files_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def told_of(run: str, site: Mapping[str, str]) -> str:
    """Return all that a site tells of a run, without its name and its digest, which its author knows."""
    rows = [
        line
        for name in ("index.html", "leaderboard.csv", "leaderboard.md", "leaderboard.tex")
        for line in re.findall(r"<tr[ >].*?</tr>", site[name], re.DOTALL) or site[name].splitlines()
        if re.search(rf"\b{run}\b", line)
    ]
    (board,) = json.loads(site["leaderboard.json"])["boards"]
    standing = [item for item in board["standings"] if item["run"] == run]
    text = "\n".join([*rows, json.dumps(standing), site[f"runs/mallory/{run}.html"]])
    return text.replace(run, "")


def share_learned(told: Mapping[str, str], cells: list[str]) -> float:
    """Return for which share of the chosen images the participant is right on whether they are CT."""
    parts = {
        run: set(re.split(r"[<>\n,|&]", re.sub(r"[0-9a-f]{64}", "", text))) for run, text in told.items()
    }

    def likeness(image: int, modality: str) -> int:
        like = (parts[name_of(known)] for known, answer in KNOWN.items() if answer == modality)
        return max(len(parts[name_of(image)] & other) for other in like)

    guesses = {image: likeness(image, CT) > likeness(image, XRAY) for image in CHOSEN}
    return sum(guess == cells[image].startswith(CT) for image, guess in guesses.items()) / len(CHOSEN)


def by_guessing(cells: list[str]) -> float:
    """Return the share that is right without any look: never CT."""
    return sum(not cells[i].startswith(CT) for i in CHOSEN) / len(CHOSEN)


@pytest.fixture
def sites(submit: Submit, root: Path, tmp_path: Path) -> Callable[[str, int], dict[str, str]]:
    """Return a maker of boards of all probes: the files of a board against a truth."""
    for name, text in probes().items():
        submit("mallory", name, text)

    def make(option: str, seed: int) -> dict[str, str]:
        truth, site = tmp_path / f"truth{option}{seed}", tmp_path / f"site{option}{seed}"
        words = ["leaderboard", root, "--truth", write_truth(truth, world(seed)), "--out", site, "--quiet"]
        assert invoke([*map(str, words), option, "--metric", "concept_f1"]) == 0
        return files_of(site)

    return make


def test_public_boards_of_two_truths_are_equal_where_their_rounded_means_are(
    sites: Callable[[str, int], dict[str, str]],
) -> None:
    assert sites("--public", 3) == sites("--public", 4)


@pytest.mark.parametrize(("option", "expected"), [("--public", by_guessing(world(3))), ("--private", 1.0)])
def test_a_board_tells_of_no_image_whether_a_probe_is_right_for_it(
    option: str, expected: float, sites: Callable[[str, int], dict[str, str]]
) -> None:
    """The private board shows that the participant would see it if it were there."""
    site = sites(option, 3)
    assert by_guessing(world(3)) < 0.7
    assert share_learned({run: told_of(run, site) for run in probes()}, world(3)) == expected


def test_the_platform_tells_of_no_image_whether_a_probe_is_right_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "input"
    (source / "res").mkdir(parents=True)
    write_truth(source / "ref", world(3))
    told = {}
    for run, text in probes().items():
        (source / "res/run.csv").write_text(text, encoding="utf-8")
        target = tmp_path / run
        assert invoke(["score", "--codabench", str(source), str(target)]) == 0
        told[run] = "\n".join([*files_of(target).values(), *capsys.readouterr()])
    assert share_learned(told, world(3)) == by_guessing(world(3))
