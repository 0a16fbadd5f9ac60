"""Modules of the tools themselves, where these are installed: every spike as the tool's own."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

CONFORMANCE = Path(__file__).parents[2] / "conformance"


def test_modules_of_installed_tools(monkeypatch):
    for tool in ("snntorch", "spikingjelly", "sinabs"):
        pytest.importorskip(tool)
    monkeypatch.syspath_prepend(str(CONFORMANCE))
    try:
        modules = import_module("torch_modules")
        for tool, cases in modules.TOOLS.items():
            for label, case in cases.items():
                compared, differing, sent, _ = modules.compare(tool, label, *case)
                assert (differing, sent > 0.01 * compared) == (0, True), f"{tool} {label}"
    finally:
        sys.modules.pop("torch_modules", None)
