import numpy as np
import pytest
from hypothesis import given, settings
from networks.drawn import exact_graphs
from networks.lenet import small_lenet

from asnn_deploy.errors import BundleError, InputError
from asnn_deploy.ir.serialize import load_graph, save_graph
from asnn_deploy.quantize import quantize


@settings(max_examples=25)
@given(exact_graphs())
def test_round_trip(tmp_path_factory, graph):
    path = tmp_path_factory.mktemp("graph") / "g.npz"
    for version in (graph, quantize(graph)):
        save_graph(path, version)
        assert load_graph(path) == version


def test_damaged_files_are_one_line(tmp_path):
    path = tmp_path / "g.npz"
    save_graph(path, small_lenet())
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"no zip at all", whole[:-30]):
        path.write_bytes(damage)
        with pytest.raises(BundleError, match="not a readable graph file") as caught:
            load_graph(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(BundleError, match="not a readable graph file"):
        load_graph(tmp_path / "absent.npz")


def test_pickles_are_not_read(tmp_path):
    path = tmp_path / "g.npz"
    np.savez(path, header=np.array([{"format": 2}], dtype=object))
    with pytest.raises(BundleError, match="not a readable graph file"):
        load_graph(path)


def test_another_format_version(tmp_path):
    path = tmp_path / "g.npz"
    np.savez(path, header=np.frombuffer(b'{"format": 99}', dtype=np.uint8))
    with pytest.raises(BundleError, match="graph format 99, this version reads format 3; export again"):
        load_graph(path)


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "g.npz"
    save_graph(path, small_lenet(seed=1))
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(InputError, match=r"g.npz: cannot be written \(No space left on device\)"):
        save_graph(path, small_lenet(seed=2))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["g.npz"]
