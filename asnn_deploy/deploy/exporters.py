"""What an exporter is, and the exporters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asnn_deploy.deploy.plugins import Plugin, Plugins
from asnn_deploy.deploy.reading import Foreign
from asnn_deploy.errors import InputError, UnsupportedError
from asnn_deploy.ir.graph import DeployGraph
from asnn_deploy.ir.meaning import Meaning
from asnn_deploy.util.suggest import unknown_name


class Exporter(Plugin, ABC):
    """Writes a graph in one format.

    suffix: the ending of its one file (".nir"), to which `export` writes that file alone; None for bundles only.
    file: the name that its one file has in a bundle, by which targets find it there.
    settings: what a user chooses, as KEY=VALUE: key to allowed values, the default first. They reach `write` as
        options.
    carries_bits: whether its one file holds the choices of the integer version, such as its weight bits.
    """

    suffix: str | None = None
    file: str | None = None
    settings: Mapping[str, tuple[str, ...]] = {}
    carries_bits: bool = False

    def check_setting(self, key: str, value: Any) -> None:
        """Raise InputError with the nearest name unless there is such a setting, and it may have the value."""
        if key not in self.settings:
            raise InputError(unknown_name(f"setting of exporter {self.name!r}", key, self.settings))
        if value not in self.settings[key]:
            raise InputError(unknown_name("value", str(value), self.settings[key]))

    @abstractmethod
    def write(self, graph: DeployGraph, folder: Path, **options: Any) -> list[str]:
        """Write the format's files into an existing folder and return their names.

        The folder is empty, or holds the graph as `bundle.NETWORK` already. The first name is the main file (the one
        that stands alone if `suffix` is set). Raises UnsupportedError naming the layer that the format cannot carry.
        options: those in `settings`; `data`, the text that names the network's data set, for examples; and `tell`,
            which takes a line for each thing that is not exactly as it was.
        """

    def keep(self, graph: DeployGraph, folder: Path) -> None:
        """Write the graph into a bundle's folder as `bundle.NETWORK`, to be read back."""
        raise UnsupportedError(f"{folder}: exporter {self.name!r} keeps no networks")

    def read(self, path: Path) -> DeployGraph:
        """Return the graph of a file that `write` or `keep` wrote. Raises UnsupportedError if it reads none."""
        raise UnsupportedError(f"{path}: exporter {self.name!r} reads no files")

    def foreign(self, path: Path) -> Foreign | None:
        """Return a file that another tool wrote in the format; None if `write` wrote it. Raises what reading raises."""
        raise UnsupportedError(f"{path}: exporter {self.name!r} reads no files of other tools")

    def restate(self, path: Path, out: Path, meaning: Meaning) -> None:
        """Write another tool's file again, as it is, with its meaning in it."""
        raise UnsupportedError(f"{path}: exporter {self.name!r} writes no files of other tools")


EXPORTERS = Plugins(Exporter)  # type: ignore[type-abstract]
