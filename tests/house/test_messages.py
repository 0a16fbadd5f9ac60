"""What the core says and how it asks plug-ins, read from the syntax trees."""

import ast
import re
from pathlib import Path

import pytest

from asnn_deploy.deploy.protocols import Exporter, Session, Simulator, Target

ROOT = Path(__file__).parents[2]
FLAG = re.compile(r"(?<![\w(-])--[a-z]")  # a stylesheet's var(--ink) is none
COMMAND_LINE = "cli"
CORE = [
    path
    for path in sorted((ROOT / "asnn_deploy").rglob("*.py"))
    if path.relative_to(ROOT / "asnn_deploy").parts[0] != COMMAND_LINE
]
MEMBERS = {
    name
    for base in (Exporter, Session, Simulator, Target)
    for kind in base.__mro__
    for name in (*vars(kind), *vars(kind).get("__annotations__", ()))
    if not name.startswith("_")
}


def texts(tree):
    """The strings of a module, but for those that document it."""
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_names_no_flags(path):
    found = [(node.lineno, node.value) for node in texts(ast.parse(path.read_text())) if FLAG.search(node.value)]
    assert not found, "the core states the fact; the command line names its option (see cli/common.naming)"


def test_a_flag_would_be_found():
    assert [node.value for node in texts(ast.parse("'--a'\nx = f'--bits {n}: no'"))] == ["--bits ", ": no"]
    assert FLAG.search("give --data NAME")
    assert not FLAG.search("fill: var(--ink)")


STILTED = re.compile(r"\b(shall|anew|beside|of (?:its|their) own|is no (?:integer|folder|file|number|run|bundle))\b")
"""Words that nobody says: "again", "next to", "its own" and "is not a file" are what is meant."""
EVERYTHING = [path for folder in ("asnn_deploy", "exporters", "targets") for path in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_are_plain_english(path):
    found = [(node.lineno, node.value) for node in texts(ast.parse(path.read_text())) if STILTED.search(node.value)]
    assert not found


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_documents_are_plain_english(name):
    prose = re.sub(r"```.*?```", "", (ROOT / name).read_text(), flags=re.DOTALL)
    assert not STILTED.search(prose)


def test_plugins_are_asked_for_no_member_that_they_may_lack():
    """A base class answers for what a plug-in leaves out."""
    assert {"settings", "file", "runs", "step_logits", "run_until", "close", "constant_based"} <= MEMBERS
    for folder in ("asnn_deploy", "exporters", "targets"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    asked = [a.value for a in node.args if isinstance(a, ast.Constant)]
                    if node.func.id in ("getattr", "hasattr"):
                        assert not MEMBERS & set(asked), f"{path}:{node.lineno}: {asked}"
