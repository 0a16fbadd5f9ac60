"""Deployment: one network in all the forms that targets need, each made when first asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType

from asnn_deploy.deploy.registry import available
from asnn_deploy.ir.graph import DeployGraph


class Deployment:
    """A float graph, its integer version, its exported files and, where there is one, the trained run.

    graph: the network in float32.
    run_folder: the run folder that it was trained in, or None.
    files: exported files that exist already, exporter name to path. Others are written to a temporary folder that
        goes when the deployment is closed.
    """

    def __init__(
        self,
        graph: DeployGraph,
        run_folder: Path | None = None,
        files: Mapping[str, Path] | None = None,
        fixed: DeployGraph | None = None,
    ) -> None:
        self.graph = graph
        self.run_folder = run_folder
        self._files = dict(files or {})
        self._fixed = fixed
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    @cached_property
    def fixed(self) -> DeployGraph:
        """The network in integers."""
        if self._fixed is not None:
            return self._fixed
        from asnn_deploy.quantize import quantize

        return quantize(self.graph)

    def file(self, exporter: str) -> Path:
        """The network as a file of that exporter ("nir", "onnx")."""
        if exporter not in self._files:
            if self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="asnn-deploy-")
            folder = Path(self._scratch.name) / exporter
            folder.mkdir()
            self._files[exporter] = folder / available("exporters", exporter).write(self.graph, folder)[0]
        return self._files[exporter]

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
