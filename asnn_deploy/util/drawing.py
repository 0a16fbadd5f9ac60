"""Pictures that are the same whatever style a `matplotlibrc`, of the user or in the working directory, asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def plain_style(changes: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Draw and save in matplotlib's own style with some changes, by the names of its `rcParams`; also a decorator."""
    from matplotlib import style  # matplotlib takes long to import

    with style.context(["default", dict(changes or {})]):
        yield
