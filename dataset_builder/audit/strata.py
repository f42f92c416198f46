"""What an audit draws from, and how many draws each part of it gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rocov2_eval.errors import UsageFault


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """What is drawn from by itself.

    Attributes:
        type: Semantic type; empty for the images of missed concepts.
        modality: Empty where modalities are not told apart.
    """

    type: str = ""
    modality: str = ""


def allocate(
    sizes: Mapping[Stratum, int],
    total: int,
    *,
    least: int = 0,
    most: int | None = None,
    halved: bool = False,
) -> dict[Stratum, int]:
    """Share out a number of draws: `least` to each stratum, and what is left in proportion to its size.

    A stratum never gives more than it has or than `most`; what it cannot take goes to the others. The result
    adds up to `total`, or to all that can be had.

    Args:
        sizes: What the strata have.
        total: Number of draws.
        least: Of each stratum, as far as it has them.
        most: Of each stratum.
        halved: Let `least` take no more than half of a stratum, rounded down, but one of what is not empty.

    Raises:
        UsageFault: The total is less than what `least` asks for.
    """
    caps = {stratum: size if most is None else min(size, most) for stratum, size in sizes.items()}
    given = {
        stratum: min(cap, least, max(sizes[stratum] // 2, 1) if halved else cap)
        for stratum, cap in caps.items()
    }
    needed = sum(given.values())
    if needed > total:
        held = sum(size > 0 for size in sizes.values())
        raise UsageFault(
            f"{total:,} are too few for {least:,} of each of {held:,} strata, as far as they have them: ask "
            f"for {needed:,} or more in all, or for {total // held:,} of each"
        )
    left = min(total, sum(caps.values())) - needed
    while left:
        open_ = {stratum: sizes[stratum] for stratum in sizes if given[stratum] < caps[stratum]}
        shares = _in_proportion(open_, left)
        for stratum, share in shares.items():
            more = min(share, caps[stratum] - given[stratum])
            given[stratum] += more
            left -= more
    return given


def _in_proportion(sizes: Mapping[Stratum, int], total: int) -> dict[Stratum, int]:
    """Return whole numbers in proportion to sizes that add up to a total: largest remainders first."""
    of = sum(sizes.values())
    shares = {stratum: total * size // of for stratum, size in sizes.items()}
    ranked = sorted(sizes, key=lambda it: (-(total * sizes[it] % of), it.type, it.modality))
    for stratum in ranked[: total - sum(shares.values())]:
        shares[stratum] += 1
    return shares
