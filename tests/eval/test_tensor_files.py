"""Tensors out of files and into a module: what is refused, and what the refusal says."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from rocov2_eval.errors import MissingResource
from rocov2_eval.tensor_files import load_strictly, read_config, read_tensors

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def test_a_safetensors_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "model-v1.0.0.pt"
    safetensors.save_file(TENSORS, path)
    assert torch.equal(read_tensors([path])["weight"], TENSORS["weight"])


@pytest.mark.parametrize("wrapped", [TENSORS, {"state_dict": TENSORS, "epoch": 3}])
def test_pickles_of_tensors_and_checkpoints_are_read(tmp_path: Path, wrapped: object) -> None:
    torch.save(wrapped, tmp_path / "model.ckpt")
    assert read_tensors([tmp_path / "model.ckpt"]).keys() == TENSORS.keys()


def test_a_pickle_with_more_than_tensors_is_not_opened(tmp_path: Path) -> None:
    torch.save({"state_dict": TENSORS, "hyper_parameters": Fraction(1, 3)}, tmp_path / "model.ckpt")
    with pytest.raises(MissingResource, match=r"contains more than tensors.*save_file"):
        read_tensors([tmp_path / "model.ckpt"])


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_refused_by_its_name(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    tensors = {"weight": torch.zeros(100, 100)}
    safetensors.save_file(tensors, path) if name.endswith("safetensors") else torch.save(tensors, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MissingResource, match=rf"{name}.*copy the file again"):
        read_tensors([path])


def test_a_list_of_tensors_is_not_taken_for_weights(tmp_path: Path) -> None:
    torch.save([torch.ones(2)], tmp_path / "pytorch_model.bin")
    with pytest.raises(MissingResource, match="expected a dictionary of tensors"):
        read_tensors([tmp_path / "pytorch_model.bin"])


def test_a_tensor_that_two_files_hold_is_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "one.ckpt", tmp_path / "two.ckpt"]
    for path in paths:
        torch.save(TENSORS, path)
    with pytest.raises(MissingResource, match=r"two\.ckpt: bias is also in another file"):
        read_tensors(paths)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": None}, "no tensor bias"),
        ({"extra": torch.ones(1)}, "the model does not have 1 tensor, such as extra"),
        ({"bias": torch.ones(3)}, r"bias has shape \[3\], expected \[2\]"),
    ],
)
def test_a_module_takes_its_own_tensors_only(change: dict[str, object], message: str) -> None:
    tensors = {name: tensor for name, tensor in (TENSORS | change).items() if tensor is not None}
    with pytest.raises(MissingResource, match=f"here: {message}"):
        load_strictly(torch.nn.Linear(3, 2), tensors, Path("here"))


@pytest.mark.parametrize(("content", "message"), [("{", "not JSON"), ("[]", "no width"), ("{}", "no width")])
def test_a_configuration_of_something_else_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(MissingResource, match=message):
        read_config(tmp_path / "config.json", ["width"])
