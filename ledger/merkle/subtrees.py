"""Which subtrees make up a proof, as ranges of leaves: RFC 9162, sections 2.1.3.1 and 2.1.4.1.

Only positions, no hashes, so that a list in memory and a folder of tiles build their proofs from one definition.
"""

from __future__ import annotations

__all__ = ["complete_subtrees", "consistency_subtrees", "inclusion_subtrees"]


def inclusion_subtrees(index: int, size: int) -> list[tuple[int, int]]:
    """Return the subtrees ``[first, end)`` whose roots, in this order, prove leaf ``index`` in a tree of ``size``.

    Raises:
        ValueError: not 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of size {size}")
    siblings: list[tuple[int, int]] = []
    first, end = 0, size
    while end - first > 1:
        split = first + _largest_power_of_two_below(end - first)
        if index < split:
            siblings.append((split, end))
            end = split
        else:
            siblings.append((first, split))
            first = split
    return siblings[::-1]


def consistency_subtrees(size1: int, size2: int) -> list[tuple[int, int]]:
    """Return the subtrees ``[first, end)`` whose roots, in this order, prove that ``size1`` is a prefix of ``size2``.

    Raises:
        ValueError: not 0 < size1 <= size2.
    """
    if not 0 < size1 <= size2:
        raise ValueError(f"no consistency proof from size {size1} to size {size2}")
    subtrees: list[tuple[int, int]] = []
    first, end = 0, size2
    while size1 < end:
        split = first + _largest_power_of_two_below(end - first)
        if size1 <= split:
            subtrees.append((split, end))
            end = split
        else:
            subtrees.append((first, split))
            first = split
    if first > 0:  # The old tree is not this subtree as a whole: the verifier does not know its root yet.
        subtrees.append((first, end))
    return subtrees[::-1]


def complete_subtrees(first: int, end: int) -> list[tuple[int, int]]:
    """Return the complete subtrees, left to right, that cover ``[first, end)``, as (level, index on that level).

    ``[first, end)`` is a subtree of an RFC 6962 tree, so its root is the fold of theirs from the right.

    Raises:
        ValueError: the range is empty, or no RFC 6962 tree has a subtree there.
    """
    if not 0 <= first < end or first % (1 << (end - first - 1).bit_length()):
        raise ValueError(f"no tree has a subtree over the leaves {first} to {end}")
    parts: list[tuple[int, int]] = []
    while first < end:
        level = (end - first).bit_length() - 1
        parts.append((level, first >> level))
        first += 1 << level
    return parts


def _largest_power_of_two_below(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)
