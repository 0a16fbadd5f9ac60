"""The house's rule: who may import whom, read from the syntax trees; and what importing the core loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TORCH = {"torch", "norse", "lightning", "torchvision", "safetensors"}
FORMATS = {"nir", "onnx", "onnxruntime", "lava", "h5py"}
TRAINING = ("asnn_deploy.models", "asnn_deploy.training", "asnn_deploy.models.lowering")
JOINERS = ("asnn_deploy.cli", "asnn_deploy.deploy.source", "asnn_deploy.api", "asnn_deploy")
FOUNDATION = {
    "errors",
    "step_table",
    "input_code",
    "preparation",
    "graph",
    "layers",
    "trace",
    "fixed_point",
    "suggest",
    "plugins",
    "files",
    "version",
    "config",
    "presets",
    "discover",
    "quantization",
}


def modules():
    for root, package in ((".", "asnn_deploy"), ("exporters", "asnn_exporters"), ("targets", "asnn_targets")):
        base = ROOT / root
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, path


def imports(path, also_lazy=True):
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    nodes = ast.walk(tree) if also_lazy else ast.iter_child_nodes(tree)
    for node in nodes:
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def under(name, *packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


MODULES = dict(modules())


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name):
    found = set(imports(MODULES[name]))
    tops = {module.split(".")[0] for module in found}
    if under(name, "asnn_deploy"):
        assert not tops & FORMATS, "the core imports neither Lava, nor NIR, nor ONNX"
        assert not tops & {"asnn_exporters", "asnn_targets"}, "exporters and targets are found by entry point"
        joins = under(name, "asnn_deploy.cli") or name in JOINERS
        if not joins and not under(name, *TRAINING):
            assert not [m for m in found if under(m, *TRAINING)], "torch may import the core, never the reverse"
            allowed = {"torchvision"} if name == "asnn_deploy.input.data" else set()
            assert not tops & TORCH - allowed
        if not joins:
            assert not [m for m in found if under(m, "asnn_deploy.cli", "asnn_deploy.deploy.source", "asnn_deploy.api")]
        parts = name.split(".")
        if len(parts) == 2 and parts[1] in FOUNDATION:
            higher = [m for m in found if under(m, "asnn_deploy") and m.split(".")[1] not in FOUNDATION]
            assert not higher, f"a foundation imports {higher}"
    if under(name, "asnn_exporters"):
        assert not tops & (TORCH | {"asnn_targets"})
    if under(name, "asnn_targets"):
        assert not tops & {"asnn_exporters"}
        if not under(name, "asnn_targets.norse"):
            assert not tops & TORCH
            assert not [m for m in found if under(m, *TRAINING)]
    family = {"asnn_exporters", "asnn_targets"} & {name.split(".")[0]}
    for package in family:
        mine = ".".join(name.split(".")[:2])
        others = [m for m in found if under(m, package) and m != package and not under(m, mine)]
        assert not others, f"{name} imports its neighbour {others}"


def loaded_after(statement):
    code = f"import sys; {statement}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_the_core_loads_nothing_heavy():
    heavy = TORCH | FORMATS | {"sklearn", "matplotlib"}
    for statement in (
        "import asnn_deploy",
        "import asnn_deploy.ir.graph",
        "import asnn_deploy.engine.executor",
        "import asnn_deploy.energy",
    ):
        assert not loaded_after(statement) & heavy, statement
    assert "numpy" not in loaded_after("import asnn_deploy.cli")


def test_the_face_is_what_is_exported():
    import asnn_deploy

    assert sorted(asnn_deploy.__all__) == asnn_deploy.__all__
    for name in asnn_deploy.__all__:
        assert getattr(asnn_deploy, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        asnn_deploy.laod  # noqa: B018
