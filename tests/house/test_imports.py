"""The house's rule: who may import whom, read from the syntax trees; and what importing the core loads."""

import ast
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TORCH = {"torch", "norse", "lightning", "torchvision", "safetensors"}
FORMATS = {"nir", "onnx", "onnxruntime", "lava", "h5py"}
FLOORS = (
    {"errors"},
    {"util"},
    {"ir"},
    {"input", "analysis", "conventions"},
    {"engine"},
    {"quantizing", "loihi", "energy", "matching"},
    {"fitting"},
    {"models"},
    {"training"},
    {"deploy"},
    {"verifying"},
    {"reporting"},
    {"sweeping"},
    {"api"},
    {"cli"},
)
"""The rooms of the core, lowest first: a room imports lower floors only."""
WITH_TORCH = ("asnn_deploy.models", "asnn_deploy.training")
JOINERS = ("asnn_deploy.cli", "asnn_deploy.deploy.source", "asnn_deploy.api", "asnn_deploy")


def modules():
    for root, package in ((".", "asnn_deploy"), ("exporters", "asnn_exporters"), ("targets", "asnn_targets")):
        base = ROOT / root
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, path


def imports(path, also_types=False):
    """The modules that a file imports, anywhere in it; those for type checkers alone only if asked for."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only and not also_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def under(name, *packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


MODULES = dict(modules())


def floor(name):
    """The floor of a module of the core; the package itself stands above all."""
    room = name.split(".")[1] if "." in name else ""
    return next((i for i, rooms in enumerate(FLOORS) if room in rooms), len(FLOORS))


@pytest.mark.parametrize("name", [name for name in MODULES if under(name, "asnn_deploy")])
def test_rooms_import_lower_floors_only(name):
    found = set(imports(MODULES[name]))
    tops = {module.split(".")[0] for module in found}
    assert not tops & FORMATS, "the core imports neither Lava, nor NIR, nor ONNX"
    assert not tops & {"asnn_exporters", "asnn_targets"}, "exporters and targets are found by entry point"
    if not under(name, *WITH_TORCH):
        assert not tops & TORCH - ({"torchvision"} if name == "asnn_deploy.input.torchvision_folders" else set())
    if name == "asnn_deploy" or name in JOINERS:
        return
    for module in found:
        if under(module, "asnn_deploy") and module.split(".")[1:2] != name.split(".")[1:2]:
            assert floor(module) < floor(name), f"{name} imports {module}, which is not on a lower floor"


@pytest.mark.parametrize("name", [name for name in MODULES if not under(name, "asnn_deploy")])
def test_exporters_and_targets_know_the_core_and_no_neighbour(name):
    found = set(imports(MODULES[name]))
    tops = {module.split(".")[0] for module in found}
    if not under(name, "asnn_targets.norse"):
        assert not tops & TORCH
        assert not [m for m in found if under(m, *WITH_TORCH)]
    family, *_ = name.split(".")
    assert not tops & {"asnn_exporters", "asnn_targets"} - {family}
    mine = ".".join(name.split(".")[:2])
    others = [m for m in found if under(m, family) and m != family and not under(m, mine)]
    assert not others, f"{name} imports its neighbour {others}"


def test_no_circles_between_files():
    """Not even for type checkers: what needs each other's names is one thing, or has a third below it."""
    reads = {name: {m for m in imports(path, also_types=True) if m in MODULES} for name, path in MODULES.items()}
    reads["asnn_deploy"] = set()  # the public face names its homes for type checkers
    assert not circles(reads)


def circles(reads):
    """A circle among files, as graphlib finds it; empty if there is none."""
    try:
        TopologicalSorter(reads).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_tests_lie_in_the_folder_of_a_room():
    found = {path.relative_to(ROOT / "tests").parts for path in (ROOT / "tests").rglob("test_*.py")}
    folders = {parts[0] for parts in found if len(parts) > 1}
    assert folders <= set.union(*FLOORS) | {"exporters", "targets", "conformance", "house"}


def test_what_is_imported_by_a_bare_name_has_it_alone():
    """Which of two files an import finds would hang on who asked first."""
    folders = ("tests", "conformance", "examples", "scripts", "benchmarks/common", "benchmarks/lava_stock")
    files = [path for folder in folders for path in (ROOT / folder).iterdir()]
    names = Counter(path.stem for path in files if path.suffix == ".py" or any(path.glob("*.py")))
    names.subtract({"conftest": names["conftest"], "__init__": names["__init__"]})
    assert not [name for name, files in names.items() if files > 1 or name in sys.stdlib_module_names]


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
