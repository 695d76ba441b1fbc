"""The filters of a mixture's part, decided from the record index alone, many records at once."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.mixture import Filters

Mask = npt.NDArray[np.bool_]
_COLUMNS = {"area": "min_area", "boxes": "boxes", "turns": "turns", "chars": "chars"}
_WITHIN: dict[str, Callable[[Any, Any], Any]] = {"min": np.greater_equal, "max": np.less_equal}


def passing(rows: pa.Table, filters: Filters) -> Iterator[tuple[str, Mask]]:
    """Of each rule that the filters state, in their order: its name, and which of the rows pass it.

    A rule of a score is called ``min_score similarity``. Bounds pass.
    """
    for rule, bound in filters:
        end, _, what = rule.partition("_")
        if what == "score":
            for score in sorted(bound):
                yield f"{rule} {score}", _WITHIN[end](_scores(rows["scores"], score), bound[score])
        elif bound is not None:
            values = rows[_COLUMNS[what]].to_numpy()  # null, no boxes at all, is NaN
            yield rule, _WITHIN[end](values, bound) | np.isnan(values)


def _scores(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.float64]:
    """A row's first score of that name; NaN, which is within no bound, where it has none."""
    lists = column.combine_chunks()
    flat, parents = pc.list_flatten(lists), pc.list_parent_indices(lists).to_numpy()
    named = pc.fill_null(pc.equal(pc.struct_field(flat, "name"), name), False).to_numpy(zero_copy_only=False)
    found = np.full(len(lists), np.nan)
    # Assigned backwards: of several the first one stays.
    found[parents[named][::-1]] = pc.struct_field(flat, "value").to_numpy(zero_copy_only=False)[named][::-1]
    return found
