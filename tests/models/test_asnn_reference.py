"""State dicts of the reference LeNet of ASNN against a naive loop of its recursion (`reference_lenet.py`)."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference_lenet import CODINGS, naive, state_dict

import asnn_deploy
from asnn_deploy.errors import BundleError, ConfigError, InputError
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.imported import read_imported
from asnn_deploy.training.presets import preset

NEAR = 1e-5
"""How near a potential may come to the threshold: rounding in float32 moves one by less."""
SEEDS = dict.fromkeys(CODINGS, 0) | {"time": 1}
"""Of weights that keep that distance."""


@pytest.fixture
def saved(tmp_path):
    def save(tensors, name="lenet.pt"):
        torch.save(tensors, tmp_path / name)
        return tmp_path / name

    return save


def images(seed, count=6, channels=3, side=16):
    """uint8 `[B, H, W, C]`."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("steps", [5, 7])
@pytest.mark.parametrize("coding", CODINGS)
def test_every_spike_is_that_of_the_naive_recursion(saved, coding, steps, adaptive):
    tensors, x = state_dict(1, coding, steps), images(steps)
    spikes, logits, nearest = naive(tensors, torch.from_numpy(x).movedim(-1, 1), coding, adaptive)
    assert nearest > NEAR, "choose another seed"
    trace = asnn_deploy.run(asnn_deploy.from_checkpoint(saved(tensors), coding=coding, adaptive=adaptive), x)
    assert set(trace.spikes) == set(spikes)
    for name, train in spikes.items():
        assert 0.05 < train.mean() < 0.95, f"{name} hardly fires, or always"
        assert np.array_equal(trace.spikes[name], train), name
    assert np.array_equal(trace.logits.argmax(1), logits.argmax(1))
    np.testing.assert_allclose(trace.logits, logits, rtol=0, atol=4 * np.finfo(np.float32).eps * np.abs(logits).max())


def of_any_value(tensors, seed):
    """The same with weights, means and variances that are on no grid."""
    draw = torch.Generator().manual_seed(seed)
    drawn = {
        "weight": lambda shape: torch.randn(shape, generator=draw) / np.sqrt(np.prod(shape[1:])),
        "running_mean": lambda shape: torch.randn(shape, generator=draw) / 5,
        "running_var": lambda shape: torch.rand(shape, generator=draw) / 2 + 0.25,
    }
    moved = {key: drawn.get(key.rpartition(".")[2]) for key in tensors if not key.startswith("lano")}
    return tensors | {key: make(tensors[key].shape) for key, make in moved.items() if make}


@pytest.mark.parametrize("coding", CODINGS)
def test_weights_of_any_value_are_mapped_exactly_before_they_are_rounded(saved, coding):
    """What order-free grids change behind that is measured by `import` with data, as after a training."""
    tensors, x = of_any_value(state_dict(1, coding), SEEDS[coding]), images(5)
    spikes, _, nearest = naive(tensors, torch.from_numpy(x).movedim(-1, 1), coding, True)
    assert nearest > NEAR, "choose another seed"
    imported = read_imported(saved(tensors), "asnn-reference", coding)
    trace = asnn_deploy.run(lower(imported.network, snapped=False), x)
    assert {name: int((trace.spikes[name] != train).sum()) for name, train in spikes.items()} == dict.fromkeys(
        spikes, 0
    )
    assert all(train.any() for train in spikes.values())


def test_normalised_images_need_another_bias_at_the_border_alone(saved):
    """Padding with zeros behind the normalisation is padding with the mean colour."""
    tensors, x = state_dict(1, "direct"), images(5)
    graph = asnn_deploy.from_checkpoint(saved(tensors), coding="direct")
    conv1 = graph.by_name["conv1"]
    bias = conv1.parameters["bias"].expanded()
    assert bias.shape == (5, 4, 16, 16)
    assert not bias[:, :, 1:-1, 1:-1].any()
    for edge in (bias[:, :, 0], bias[:, :, -1], bias[..., 0], bias[..., -1]):
        assert np.count_nonzero(edge) > edge.size / 2
    assert {table.shape for key, table in conv1.parameters.items() if key != "bias"} == {()}
    assert all(not graph.by_name[name].parameters.get("bias") for name in ("conv2", "conv3", "fc1"))
    spikes, _, _ = naive(tensors, torch.from_numpy(x).movedim(-1, 1), "direct", True)
    untouched = {key: table for key, table in conv1.parameters.items() if key != "bias"}
    changed = asnn_deploy.run(with_layer(graph, conv1, untouched), x)
    assert (changed.spikes["conv1"] != spikes["conv1"])[..., 1:-1, 1:-1].sum() == 0
    assert (changed.spikes["conv1"] != spikes["conv1"]).any()


def with_layer(graph, layer, parameters):
    new = replace(layer, parameters=parameters)
    return replace(graph, layers=tuple(new if found is layer else found for found in graph.layers))


def test_sizes_are_read_from_the_tensors(saved):
    """Those of the reference code are those of the preset."""
    tensors = state_dict(0, steps=7, widths=(32, 48, 64), hidden=256, classes=100, side=32)
    assert tensors["lin1.weight"].shape == (256, 1024)
    config = read_imported(saved(tensors), "asnn-reference", "mix time").config
    known = preset("cifar-lenet")
    assert (config.coding, config.time_steps) == (known["coding"], known["time_steps"])
    for key, value in known["model"].items():
        assert config.model.model_dump(mode="json")[key] == value, key
    assert config.model.classes == 100
    grey = state_dict(0, "time", steps=2, channels=1, side=8)
    assert asnn_deploy.from_checkpoint(saved(grey), coding="time").input_shape == (1, 8, 8)


def test_prefix_and_what_is_not_computed_with(saved):
    tensors = state_dict(2)
    graph = asnn_deploy.from_checkpoint(saved(tensors), coding="mix time")
    parallel = {f"module.{key}": value for key, value in tensors.items()}
    assert asnn_deploy.from_checkpoint(saved(parallel), coding="mix time") == graph
    bare = {
        key: t for key, t in tensors.items() if key not in ("re", "th") and "lano" not in key and "num_b" not in key
    }
    assert asnn_deploy.from_checkpoint(saved(bare), kind="asnn-reference", coding="mix time") == graph
    no_second_stem = {key: t for key, t in tensors.items() if "11" not in key}
    spiking = asnn_deploy.from_checkpoint(saved(tensors), coding="time")
    assert asnn_deploy.from_checkpoint(saved(no_second_stem), coding="time") == spiking


def test_not_adaptive_only_drops_the_scale(saved):
    tensors = state_dict(3)
    plain = asnn_deploy.from_checkpoint(saved(tensors), coding="time", adaptive=False)
    ones = tensors | {"scale": torch.ones(5)}
    assert asnn_deploy.from_checkpoint(saved(ones), coding="time") == plain
    assert plain != asnn_deploy.from_checkpoint(saved(tensors), coding="time")
    del tensors["scale"]
    assert asnn_deploy.from_checkpoint(saved(tensors), coding="time", adaptive=False) == plain


def replaced(**changes):
    return lambda tensors: tensors | {key.replace("__", "."): value for key, value in changes.items()}


def without(name):
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


REFUSED = {
    "missing": (
        without("bn3.running_mean"),
        "lacks 'bn3.running_mean', which the reference LeNet with coding 'mix time' has",
    ),
    "no analog stem": (without("con11.bias"), "lacks 'con11.bias'"),
    "no scale": (without("scale"), "lacks 'scale', the readout's weight of each step; import it as not adaptive"),
    "extra": (
        replaced(con4__weight=torch.ones(2)),
        "unknown key of the reference LeNet 'con4.weight'; did you mean 'con",
    ),
    "another container": (lambda tensors: {"state_dict": tensors}, "unknown key of the reference LeNet 'state_dict'"),
    "kernel": (
        replaced(con2__weight=torch.ones(6, 4, 5, 5)),
        "'con2.weight' has shape [6, 4, 5, 5], the reference LeNet with coding 'mix time' needs [6, 4, 3, 3] (by 'con1.weight')",
    ),
    "widths": (
        replaced(con3__weight=torch.ones(8, 5, 3, 3)),
        "'con3.weight' has shape [8, 5, 3, 3], the reference LeNet with coding 'mix time' needs [8, 6, 3, 3] (by 'con2.weight')",
    ),
    "steps": (
        replaced(inputlayers=torch.ones(4, 6)),
        "'inputlayers' has shape [4, 6], the reference LeNet with coding 'mix time' needs [4, 5] (by 'leakelayers')",
    ),
    "layers": (
        replaced(leakelayers=torch.ones(3, 5)),
        "'leakelayers' has shape [3, 5], the reference LeNet with coding 'mix time' needs [4, 5]",
    ),
    "nothing": (
        replaced(scale=torch.ones(0)),
        "'scale' has shape [0], the reference LeNet with coding 'mix time' needs [5] (by 'leakelayers')",
    ),
    "no square": (replaced(lin1__weight=torch.ones(12, 40)), "'lin1.weight' reads 40 values"),
    "no tensor": (replaced(scale=[1.0] * 5), "'scale' is of type list"),
    "integers": (replaced(lin2__bias=torch.ones(5, dtype=torch.int64)), "'lin2.bias' is a tensor of torch.int64"),
    "NaN": (replaced(bn2__bias=torch.full((6,), float("nan"))), "'bn2.bias' holds NaN or infinity"),
    "variance": (replaced(bn2__running_var=-torch.ones(6)), "'bn2.running_var' goes down to -1"),
    "both prefixes": (replaced(module__scale=torch.ones(5)), "'scale' with and without the prefix 'module.'"),
    "no names": (lambda tensors: list(tensors.values()), "holds a list, needed is a state dict"),
    "too long": (lambda _: state_dict(0, steps=2000), "time_steps = 2000"),
    "too short": (lambda _: state_dict(0, steps=1), "needs at least 2 time steps, found time_steps = 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_file_and_key(saved, case):
    change, message = REFUSED[case]
    path = saved(change(state_dict(0)))
    with pytest.raises(InputError) as refused:
        asnn_deploy.from_checkpoint(path, coding="mix time")
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_other_colours_are_refused_where_they_would_be_normalised(saved):
    with pytest.raises(BundleError, match="'con1.weight' reads 1 channels; for coding 'direct'"):
        asnn_deploy.from_checkpoint(saved(state_dict(0, channels=1)), coding="direct")


def test_unknown_kinds_and_codings(saved):
    path = saved(state_dict(0))
    with pytest.raises(ConfigError, match="unknown coding of the reference code 'mixtime'; did you mean 'mix time'"):
        asnn_deploy.from_checkpoint(path, coding="mixtime")
    with pytest.raises(InputError, match="unknown kind of checkpoint 'asn-reference'; did you mean 'asnn-reference'"):
        asnn_deploy.from_checkpoint(path, kind="asn-reference", coding="time")


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("old", [False, True])
def test_nothing_is_unpickled(saved, tmp_path, old):
    path = tmp_path / "trap.pt"
    torch.save(state_dict(0) | {"scale": Trap(tmp_path / "ran")}, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(BundleError, match="trap.pt: holds .*objects.* it is not unpickled, since that may run code"):
        asnn_deploy.from_checkpoint(path, coding="time")
    assert not (tmp_path / "ran").exists()


def test_files_that_are_no_state_dicts(saved, tmp_path):
    whole = saved(state_dict(0)).read_bytes()
    path = tmp_path / "odd.pt"
    for content in (b"", b"garbage", whole[: len(whole) // 2], whole[:-100]):
        path.write_bytes(content)
        with pytest.raises(BundleError, match=r"odd.pt: .*write it with torch.save\(network.state_dict\(\), PATH\)"):
            asnn_deploy.from_checkpoint(path, coding="time")
    with pytest.raises(BundleError, match="absent.pt: no such file"):
        asnn_deploy.from_checkpoint(tmp_path / "absent.pt", coding="time")
    with pytest.raises(BundleError, match="is not a file"):
        asnn_deploy.from_checkpoint(tmp_path, coding="time")
