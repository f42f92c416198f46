"""What the loop asks of whatever is trained: concepts, captions and image filters are objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rocov2_eval.records import IntArray


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Parameters that are trained alike.

    Attributes:
        parameters: Names with their parameters.
        rate: Learning rate of these parameters as a multiple of that of the recipe.
        decays: Whether weights are drawn towards 0; not for biases and normalisation.
    """

    parameters: Sequence[tuple[str, Any]]
    rate: float = 1.0
    decays: bool = True


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of this process in a batch that several processes share.

    Attributes:
        rank: Number of this process, from 0.
        world: Number of processes that share the batch.
    """

    rank: int = 0
    world: int = 1


class Objective(Protocol):
    """Something to train. Whatever is random comes from the generators it is handed, and nothing else."""

    model: Any
    main: str
    n: int

    @property
    def bases(self) -> Mapping[str, str]:
        """Where frozen weights come from, by how their names begin: checkpoints leave them out.

        Weights that come from nowhere, such as random ones, must not be named: nobody could bring them back.
        """
        ...

    def groups(self) -> Sequence[ParameterGroup]:
        """Return every trainable parameter of `model`, each once."""
        ...

    def fetch(self, indices: IntArray) -> Any:  # noqa: ANN401  the objective's own
        """Return what a batch needs, on the host: called in a thread of its own, ahead of the step.

        Args:
            indices: Indices of training examples, in [0, n), shape (batch / world,).
        """
        ...

    def loss(self, model: Any, fetched: Any, generator: Any, device: Any, share: Share) -> Any:  # noqa: ANN401
        """Return the mean loss of a batch, a scalar tensor with gradients.

        Args:
            model: `model`, or what wraps it; to be called as it is.
            fetched: What `fetch` has returned.
            generator: A `torch.Generator` on the CPU, the same in all processes of a batch.
            device: Device of the model.
            share: Which part of the batch was fetched.
        """
        ...

    def validate(self, device: Any) -> Mapping[str, float]:  # noqa: ANN401
        """Return scores of `model` on the validation split, `main` among them: more is better."""
        ...

    def header(self) -> Mapping[str, str]:
        """Return what the file of the best weights says of itself, so that another run can start from it."""
        ...

    def save(self, folder: Path) -> None:
        """Write beside the weights what prediction needs: labels, tokenizer, decision, settings."""
        ...


def split_by_decay(named: Sequence[tuple[str, Any]], *, rate: float = 1.0) -> tuple[ParameterGroup, ...]:
    """Return matrices and kernels, which decay, apart from vectors (biases, normalisation), which do not.

    Frozen parameters are in neither.
    """
    trained = [(name, each) for name, each in named if each.requires_grad]
    matrices = [(name, each) for name, each in trained if each.ndim > 1]
    vectors = [(name, each) for name, each in trained if each.ndim <= 1]
    groups = (
        ParameterGroup(parameters=matrices, rate=rate),
        ParameterGroup(parameters=vectors, rate=rate, decays=False),
    )
    return tuple(group for group in groups if group.parameters)
