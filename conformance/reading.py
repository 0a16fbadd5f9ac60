"""How asnn-deploy is told to read a conformance case, from its case.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"
NOT_READ: dict[str, str] = {}
"""Cases that asnn-deploy does not reproduce, and why."""
RULES = ("reset", "integration", "fires", "spikes")


def names() -> list[str]:
    """Return the names of all cases."""
    return sorted(path.name for path in CASES.iterdir())


def facts(case: str) -> dict[str, Any]:
    """Return what a case's case.json says."""
    found: dict[str, Any] = json.loads((CASES / case / "case.json").read_text(encoding="utf-8"))
    return found


def told(case: str) -> dict[str, Any]:
    """Return what is said of a case's file, as the keywords of `asnn_deploy.deploy.reading.Reading`."""
    said = facts(case)
    rule, words = said["rule"], said["in_words"]
    rules = {name: rule[name] for name in RULES}
    if rule["from"] == "sinabs" and words.get("input") == "scaled":
        rules["update"] = "integrated"  # norm_input
    nodes = tuple((node, "reset", own["reset"]) for node, own in words.get("nodes", {}).items() if "reset" in own)
    return {
        "tool": rule["from"],
        "dt": float(rule["dt"]),
        "rules": rules,
        "minimum": words.get("lower_bound"),
        "nodes": nodes,
    }
