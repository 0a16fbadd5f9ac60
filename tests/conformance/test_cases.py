"""The published conformance cases are whole: what a file names, its recording holds (conformance/README.md)."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "conformance" / "cases"
CASES = sorted(path.name for path in FOLDER.iterdir())
TOOLS = {"snntorch", "norse", "sinabs", "spikingjelly", "rockpool", "spyx"}
NEURONS = {"IF", "LIF", "CubaLIF", "LI"}
OPTIONS = {
    "from": TOOLS,
    "reset": {"subtract", "delayed-subtract", "zero", "delayed-zero"},
    "integration": {"euler", "exponential"},
    "fires": {"above", "at"},
    "spikes": {"one", "many"},
}


def facts(case):
    return json.loads((FOLDER / case / "case.json").read_text(encoding="utf-8"))


def recording(case):
    with np.load(FOLDER / case / "recording.npz") as file:
        return dict(file)


def node_types(case):
    """Return the type of every node by its name; those of nested graphs joined with dots."""

    def walk(group, before):
        for name, node in group["nodes"].items():
            kind = node["type"][()].decode()
            yield from walk(node, f"{before}{name}.") if kind == "NIRGraph" else [(before + name, kind)]

    with h5py.File(FOLDER / case / "network.nir") as file:
        return dict(walk(file["node"], ""))


def test_every_tool_has_cases_and_all_are_small():
    assert {facts(case)["tool"] for case in CASES} == TOOLS
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.*") if path.is_file()) < 3_000_000


@pytest.mark.parametrize("case", CASES)
def test_a_case_is_complete(case):
    assert sorted(path.name for path in (FOLDER / case).iterdir()) == ["case.json", "network.nir", "recording.npz"]
    found = facts(case)
    assert case.startswith(found["tool"] + "-")
    assert found["tool"] == found["rule"]["from"]
    assert {name: found["rule"][name] in allowed for name, allowed in OPTIONS.items()} == dict.fromkeys(OPTIONS, True)
    assert found["rule"]["dt"] > 0
    assert {found["tool"], "nir", "numpy", "h5py"} <= found["versions"].keys()
    assert found["licence"]


@pytest.mark.parametrize("case", CASES)
def test_the_recording_holds_every_neuron_of_the_file(case):
    arrays, kinds = recording(case), node_types(case)
    neurons = {name for name, kind in kinds.items() if kind in NEURONS}
    spiking = {name for name in neurons if kinds[name] != "LI"}
    assert arrays.keys() == {"input"} | spiking | {f"{name}/v" for name in neurons}
    steps_and_batch = arrays["input"].shape[:2]
    assert all(array.shape[:2] == steps_and_batch for array in arrays.values())
    assert all(arrays[name].shape == arrays[f"{name}/v"].shape for name in spiking)
    assert all(arrays[f"{name}/v"].dtype == np.float32 for name in neurons)
    assert all(np.isfinite(array).all() for array in arrays.values())


@pytest.mark.parametrize("case", CASES)
def test_every_layer_fires_enough_to_tell_rules_apart(case):
    arrays, found = recording(case), facts(case)
    for name, stated in found["rates"].items():
        assert arrays[name].dtype == np.uint8
        assert 0.05 < np.mean(arrays[name] > 0) < 0.6
        assert np.mean(arrays[name] > 0) == pytest.approx(stated, abs=1e-4)
        assert (arrays[name].max() > 1) == (found["rule"]["spikes"] == "many")
    assert all(count > 0 for rule, count in found["wrong_rules"].items() if rule.startswith("reset"))
    assert found["naive_differing"] == 0
