"""Whether our EfficientNets are timm's: parameters by name and shape, and outputs of the same weights.

Needs timm, which needs torchvision. On a machine without CUDA torchvision can be installed but not imported,
because its operators are compiled for CUDA; two of them are declared here, so that the import goes through:

    pip install --no-deps torchvision==0.28.0 timm==1.0.31 && python benchmarks/check_timm_parity.py

With `--record tests/golden/timm_efficientnets.json` the names and shapes of timm go into the file that the
tests read.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from baselines.models.efficientnet import SPECS, EfficientNet

OURS_ALONE = ("plain", "nano")


def main() -> None:
    """Print a table, one network a row; fail where a network differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--record", type=Path, help="write names and shapes here, as timm has them")
    record = parser.parse_args().record
    timm = import_timm()
    recorded, is_equal = {}, True
    print("| network | parameters | names and shapes | side | largest difference | largest logit |")
    print("|---|---|---|---|---|---|")
    for name in SPECS:
        if name in OURS_ALONE:
            continue
        theirs = timm.create_model(name, pretrained=False).eval()
        recorded[name] = [f"{key} {list(tensor.shape)}" for key, tensor in theirs.state_dict().items()]
        is_equal &= compare(name, theirs, recorded[name])
    if record is not None:
        origin = {"what": f"timm {timm.__version__}", "date": f"{datetime.now(UTC):%Y-%m-%d}"}
        record.write_text(
            json.dumps({"origin": origin, "networks": recorded}, indent=1) + "\n", encoding="utf-8"
        )
    raise SystemExit(not is_equal)


def import_timm() -> Any:  # noqa: ANN401  an optional library
    """Return timm, on a machine without CUDA too."""
    if not torch.cuda.is_available():
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import timm

    return timm


def compare(name: str, theirs: Any, rows: list[str]) -> bool:  # noqa: ANN401  as above
    """Print a row for each size of image and tell whether everything is equal."""
    spec = SPECS[name]
    torch.manual_seed(0)
    for key, tensor in theirs.state_dict().items():
        if key.endswith("running_mean"):  # as they are, 0 and 1, they would hide a layer left out
            tensor.normal_(0, 0.1)
        elif key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    ours = EfficientNet(spec, theirs.num_classes).eval()
    is_same = rows == [f"{key} {list(tensor.shape)}" for key, tensor in ours.state_dict().items()]
    ours.load_state_dict(theirs.state_dict(), strict=True)
    worst = 0.0
    for side in (spec.side, spec.side + 1):  # an odd side moves the padding
        images = torch.randn(1, 3, side, side)
        with torch.inference_mode():
            expected, found = theirs(images), ours(images)
        difference = float((found - expected).abs().max())
        worst = max(worst, difference)
        n = sum(parameter.numel() for parameter in ours.parameters())
        words = "equal" if is_same else "different"
        print(f"| {name} | {n:,} | {words} | {side} | {difference} | {float(expected.abs().max()):.3g} |")
    return is_same and worst == 0


if __name__ == "__main__":
    main()
