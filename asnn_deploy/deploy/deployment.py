"""Deployment: one network in all the forms that targets need, each made when first asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from asnn_deploy.deploy.exporters import EXPORTERS
from asnn_deploy.ir.graph import DeployGraph

if TYPE_CHECKING:
    from asnn_deploy.training.trained import TrainedRun


class Deployment:
    """A float graph, its integer version, its exported files and, if there is one, the trained run.

    graph: the network in float32.
    run: reads the run that it was trained in, if there is one.
    files: exported files that exist already, by the exporter's name or by the name that the exporter gives its file.
        Others are written to a temporary folder that goes when the deployment is closed.
    """

    def __init__(
        self,
        graph: DeployGraph,
        run: Callable[[], TrainedRun] | None = None,
        files: Mapping[str, Path] | None = None,
        fixed: DeployGraph | None = None,
    ) -> None:
        self.graph = graph
        self._load_run = run
        self._files = dict(files or {})
        self._fixed = fixed
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    @property
    def has_run(self) -> bool:
        """Whether there is a run that it was trained in."""
        return self._load_run is not None

    @cached_property
    def run(self) -> TrainedRun | None:
        """The run that it was trained in, read when first asked for; whoever changes its network changes a copy."""
        return None if self._load_run is None else self._load_run()

    @cached_property
    def fixed(self) -> DeployGraph:
        """The network in integers."""
        if self._fixed is not None:
            return self._fixed
        from asnn_deploy.quantizing import quantize

        return quantize(self.graph)

    def file(self, exporter: str) -> Path:
        """Return the network as a file of that exporter ("nir", "onnx"), which is written once."""
        found = self._files.get(exporter) or self._files.get(EXPORTERS.find(exporter).file or "")
        if found is None:
            if self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="asnn-deploy-")
            folder = Path(self._scratch.name) / exporter
            folder.mkdir(exist_ok=True)
            found = folder / EXPORTERS.available(exporter).write(self.graph, folder)[0]
        self._files[exporter] = found
        return found

    def close(self) -> None:
        """Remove what was written to the temporary folder."""
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def __enter__(self) -> Deployment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
