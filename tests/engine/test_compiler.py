"""Kernels on disk: used again by the next process, renewed when what they call changes."""

import subprocess
import sys

from asnn_deploy.engine import compiler

KERNEL = (
    "from asnn_deploy.engine.compiler import compiled\n{imports}\n\n@compiled\ndef {name}(x):\n    return {value}\n"
)
OUTER = "from outer import outer; print(outer(1), *(sum(n.values()) for n in outer.stats[1:]))"
NETWORK = """
from networks.lenet import loihi_cuba, static_lenet
from networks.lenet import small_lenet
from networks.making import random_inputs
from asnn_deploy.engine.kernels.advance import advance
from asnn_deploy.engine.runner import run
from asnn_deploy.quantizing import quantize
for graph in (small_lenet(), static_lenet(lif=loihi_cuba)):
    for form in (graph, quantize(graph)):
        run(form, random_inputs(form, 2))
print(*(sum(n.values()) for n in advance.stats[1:]))
"""


def printed(code, *folders):
    """The numbers that a process prints."""
    where = f"import sys; sys.path[:0] = {[str(folder) for folder in folders]}\n"
    result = subprocess.run([sys.executable, "-c", where + code], capture_output=True, text=True, check=True)
    return [int(word) for word in result.stdout.split()]


def test_a_kernel_on_disk_is_renewed_when_another_file_of_its_folder_changes(tmp_path, monkeypatch):
    """Numba alone would run the old one for ever: it looks at the file of the outermost kernel."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))  # the user's may hold this kernel already
    (tmp_path / "outer.py").write_text(KERNEL.format(imports="from inner import inner", name="outer", value="inner(x)"))
    (tmp_path / "inner.py").write_text(KERNEL.format(imports="", name="inner", value="x + 1"))
    assert printed(OUTER, tmp_path) == [2, 0, 1]  # answer, found on disk, compiled
    assert printed(OUTER, tmp_path) == [2, 1, 0]
    (tmp_path / "inner.py").write_text(KERNEL.format(imports="", name="inner", value="x + 2"))
    assert printed(OUTER, tmp_path) == [3, 0, 1]
    assert printed(OUTER, tmp_path) == [3, 1, 0]


def test_a_second_process_compiles_nothing(request):
    """Named fields and all: neurons with and without a kernel of their own, float and fixed."""
    folder = request.path.parent.parent
    first, second = printed(NETWORK, folder), printed(NETWORK, folder)
    assert sum(first) == sum(second) > 0
    assert second[1] == 0


def test_without_a_folder_for_the_cache_kernels_are_compiled_in_each_process(monkeypatch):
    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(compiler, "FolderCache", refuse)
    assert compiler.compiled(lambda x: x + 1)(1) == 2
