"""`Array`, and arrays that cannot be changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def frozen(array: npt.ArrayLike, dtype: npt.DTypeLike = None) -> Array:
    """A read-only, contiguous copy."""
    copy = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy
