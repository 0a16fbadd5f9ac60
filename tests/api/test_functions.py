"""The public functions: what they return is what the commands write, and what a path gives is what its network gives."""

import inspect
import json
import re
import shutil
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from networks import features
from networks.drawn import exact_graphs
from networks.lenet import small_lenet
from networks.making import random_inputs

import asnn_deploy
from asnn_deploy.cli import run as command_line
from asnn_deploy.cli.simulation import SAMPLES as SIMULATED
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import AsnnDeployError, ConfigError, DataError, DeployNote, InputError
from asnn_deploy.input.data import load_data
from asnn_deploy.ir.serialize import fingerprint
from asnn_deploy.ir.trace import Record

FUNCTIONS = [name for name in asnn_deploy.__all__ if inspect.isfunction(getattr(asnn_deploy, name))]
FEW = 12


def written(tmp_path, *arguments):
    """What a command writes as JSON."""
    file = tmp_path / "figures.json"
    assert command_line([*map(str, arguments), "--json", str(file)]) in (0, 1)
    return json.loads(file.read_text())


def test_verify_returns_what_the_command_writes(run_folder, tmp_path):
    targets = ("norse", "reference-fixed", "lava-fixed")
    found = asnn_deploy.verify(run_folder, "digits", targets=targets, limit=FEW)
    asked = [text for target in targets for text in ("--target", target)]
    assert found.to_json() == written(tmp_path, "verify", run_folder, "--data", "digits", "--limit", FEW, *asked)
    assert found.holds
    assert list(found.promising) == ["norse", "lava-fixed"]
    assert not found.left_out


def test_verify_says_why_targets_are_left_out():
    net = small_lenet()
    found = asnn_deploy.verify(net, random_inputs(net, FEW)[:, 0])
    assert found.holds
    assert {"nir", "onnxruntime"} <= set(found.targets)
    assert all(found.left_out.values())
    assert not set(found.left_out) & set(found.targets)


def test_fit_returns_what_the_command_writes(run_folder, tmp_path):
    found = asnn_deploy.fit(run_folder, "loihi1", chips=2)
    assert found.to_json() == written(tmp_path, "fit", run_folder, "--chip", "loihi1", "--chips", 2)


def test_quantize_returns_what_the_command_writes(run_folder, tmp_path):
    found = asnn_deploy.quantize(run_folder, bits=3, limit=FEW)
    assert found.report == written(tmp_path, "quantize", run_folder, "--bits", 3, "--limit", FEW)
    assert found.bits == 3
    assert found.accuracy == found.report["accuracy"]
    assert found.net.quantization.bits == 3
    assert asnn_deploy.quantize(found.net, "digits", limit=FEW).report == found.report


def test_report_returns_what_the_command_writes(run_folder, tmp_path):
    found = asnn_deploy.report(run_folder, limit=FEW, profiles=["horowitz-45nm"], chips=["loihi2"])
    asked = ("--profile", "horowitz-45nm", "--chip", "loihi2", "--out", tmp_path / "report")
    assert found.to_json() == written(tmp_path, "report", run_folder, "--limit", FEW, *asked)


def test_a_report_of_arrays_chooses_no_margins_on_what_it_counts():
    net = small_lenet()
    images = random_inputs(net, FEW)[:, 0]
    found = asnn_deploy.report(net, (images, np.zeros(FEW, int)))
    assert found.early_exit is None
    assert (found.network, found.data) == (None, None)


def test_export_and_train_and_save(run_folder, tmp_path, digits):
    written = asnn_deploy.export(run_folder, "nir", tmp_path / "net.nir", bits=4)
    assert written.path == tmp_path / "net.nir"
    assert asnn_deploy.load(written.path).quantization.bits == 4
    settings = {"training.epochs": 1, "training.limit": 40, "model.widths": [4], "time_steps": 2}
    trained = asnn_deploy.train("digits-lenet", tmp_path / "run", settings=settings, data=digits)
    assert trained.net.time_steps == 2
    assert json.loads(json.dumps(trained.summary)) == json.loads((tmp_path / "run" / "summary.json").read_text())
    further = asnn_deploy.train(tmp_path / "run" / "config.yaml", tmp_path / "more", start=tmp_path / "run")
    assert further.path == tmp_path / "more"
    longer = {"training.epochs": 2}
    again = asnn_deploy.train(tmp_path / "run" / "config.yaml", tmp_path / "run", settings=longer, resume=True)
    assert again.summary["epochs"] == 2


KINDS = [getattr(features, name) for name in ("residual", "recurrent", "delayed_edges", "over_time", "awkward_names")]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(net=exact_graphs())
def test_a_saved_network_is_loaded_as_it_was(tmp_path, net):
    equal_after_saving(net, tmp_path)


@pytest.mark.parametrize("make", KINDS)
def test_networks_of_every_kind_are_saved(make, tmp_path):
    equal_after_saving(make(), tmp_path)


def equal_after_saving(net, folder):
    try:
        path = asnn_deploy.save(net, folder / "net.nir")
    except AsnnDeployError as error:
        if "layer" not in str(error):
            raise
        return
    back = asnn_deploy.load(path)
    assert (back.code, back.quantization, back.shapes) == (net.code, net.quantization, net.shapes)
    given = random_inputs(net, 3)
    first, second = (run(one, given, Record(spikes=True)) for one in (net, back))
    assert np.array_equal(first.logits, second.logits)
    assert all(np.array_equal(first.spikes[name], second.spikes[name]) for name in first.spikes)


@pytest.mark.parametrize("source", ["path", "graph", "bundle"])
def test_a_network_by_any_name_runs_alike(run_folder, tmp_path, digits, source):
    net = asnn_deploy.load(run_folder)
    if source == "bundle":
        asnn_deploy.export(net, "lava", tmp_path / "bundle", data="digits")
    given = {"path": run_folder, "graph": net, "bundle": tmp_path / "bundle"}[source]
    images = digits.images["test"][:FEW, 0]
    expected = asnn_deploy.run(net, images, "reference-fixed")
    assert np.array_equal(asnn_deploy.run(given, images, "reference-fixed").logits, expected.logits)
    assert asnn_deploy.verify(given, images, targets=["lava-fixed"]).targets["lava-fixed"].exact
    assert asnn_deploy.fit(given, "loihi2").placement.cores == asnn_deploy.fit(net, "loihi2").placement.cores


def test_results_are_one_short_line(run_folder, tmp_path):
    results = [
        asnn_deploy.verify(run_folder, limit=FEW, targets=["nir"]),
        asnn_deploy.fit(run_folder, "loihi2"),
        asnn_deploy.quantize(run_folder, limit=FEW),
        asnn_deploy.report(run_folder, limit=FEW),
        asnn_deploy.export(run_folder, "onnx", tmp_path / "net.onnx"),
    ]
    for result in results:
        for shown in (repr(result), str(result)):
            assert "\n" not in shown
            assert len(shown) < 250 + len(str(tmp_path))


def image(net, count=2):
    return np.zeros((count, *net.input_shape[1:]), np.uint8)


BAD = {
    "verify a number": (lambda n, x, t: asnn_deploy.verify(3), InputError, "net = '3' (int)"),
    "verify nothing there": (lambda n, x, t: asnn_deploy.verify(t / "no"), InputError, "does not exist"),
    "no data": (lambda n, x, t: asnn_deploy.verify(n), DataError, "remembers no data"),
    "unknown data": (lambda n, x, t: asnn_deploy.verify(n, "digit"), DataError, "did you mean 'digits'"),
    "data of a long name": (lambda n, x, t: asnn_deploy.verify(n, "x" * 5000), DataError, "unknown data set"),
    "data a number": (lambda n, x, t: asnn_deploy.verify(n, 3), DataError, "images have shape ()"),
    "labels of others": (lambda n, x, t: asnn_deploy.verify(n, (x, [1])), DataError, "one for each of the 2 samples"),
    "no labels": (lambda n, x, t: asnn_deploy.report(n, x), DataError, "give (images, labels)"),
    "unknown target": (lambda n, x, t: asnn_deploy.verify(n, x, targets=["lav"]), InputError, "did you mean 'lava'"),
    "batch": (lambda n, x, t: asnn_deploy.verify(n, x, batch_size=0), InputError, "batch_size = 0: must be at least 1"),
    "recording": (lambda n, x, t: asnn_deploy.verify(n, recording=t / "r.npz"), InputError, "is not a NIR file of"),
    "unknown chip": (lambda n, x, t: asnn_deploy.fit(n, "loihi3"), InputError, "unknown chip 'loihi3'"),
    "chip of another type": (lambda n, x, t: asnn_deploy.fit(n, 1), InputError, "chip = '1' (int)"),
    "chips": (lambda n, x, t: asnn_deploy.fit(n, "loihi1", 0), InputError, "chips = 0: must be at least 1"),
    "bits": (lambda n, x, t: asnn_deploy.quantize(n, x, bits=9), InputError, "weights have 2 to 8 bits, found 9"),
    "bits as text": (lambda n, x, t: asnn_deploy.quantize(n, x, bits="4"), InputError, "bits = '4' (str)"),
    "exporter": (lambda n, x, t: asnn_deploy.export(n, "lav", t / "o"), InputError, "unknown exporter 'lav'"),
    "another's ending": (
        lambda n, x, t: asnn_deploy.export(n, "nir", t / "o.onnx"),
        InputError,
        "does not write .onnx",
    ),
    "setting": (
        lambda n, x, t: asnn_deploy.export(n, "nir", t / "o.nir", settings={"dialec": "x"}),
        InputError,
        "did you mean 'dialect'",
    ),
    "portable bits": (
        lambda n, x, t: asnn_deploy.export(n, "nir", t / "o.nir", bits=4, settings={"dialect": "portable"}),
        InputError,
        "holds neither weight bits nor data",
    ),
    "no place": (lambda n, x, t: asnn_deploy.export(n, "nir", None), InputError, "out = 'None' (NoneType)"),
    "ending": (lambda n, x, t: asnn_deploy.save(n, t / "o.npz"), InputError, "ends in .nir"),
    "preset": (lambda n, x, t: asnn_deploy.train("digits-lent", t / "o"), ConfigError, "did you mean 'digits-lenet'"),
    "config": (lambda n, x, t: asnn_deploy.train(3, t / "o"), InputError, "config = '3' (int)"),
    "key": (
        lambda n, x, t: asnn_deploy.train("digits-lenet", t / "o", settings={"training.epoch": 1}),
        ConfigError,
        "did you mean 'training.epochs'",
    ),
    "nothing to resume": (
        lambda n, x, t: asnn_deploy.train("digits-lenet", t / "o", resume=True),
        InputError,
        "nothing to resume",
    ),
    "sample": (
        lambda n, x, t: asnn_deploy.report(n, (x, [0, 0]), sample=2),
        InputError,
        "there are 2 samples, numbered 0 to 1",
    ),
    "limit of none": (lambda n, x, t: asnn_deploy.verify(n, x, limit=0), InputError, "limit = 0: must be at least 1"),
    "limit below": (lambda n, x, t: asnn_deploy.quantize(n, x, limit=-3), InputError, "limit = -3: must be at least 1"),
    "limit as text": (lambda n, x, t: asnn_deploy.report(n, (x, [0, 0]), limit="3"), InputError, "limit = '3' (str)"),
    "limit as truth": (lambda n, x, t: asnn_deploy.verify(n, x, limit=True), InputError, "limit = 'True' (bool)"),
    "no samples": (lambda n, x, t: asnn_deploy.verify(n, x[:0]), DataError, "there are no samples"),
    "nothing to calibrate on": (lambda n, x, t: asnn_deploy.quantize(n, x[:0], bits=4), DataError, "are no samples"),
    "targets a number": (lambda n, x, t: asnn_deploy.verify(n, x, targets=5), InputError, "targets = '5' (int)"),
    "a target a number": (lambda n, x, t: asnn_deploy.verify(n, x, targets=[5]), InputError, "one of targets = '5'"),
    "one target": (lambda n, x, t: asnn_deploy.verify(n, x, targets="nri"), InputError, "unknown target 'nri'"),
    "no profiles": (lambda n, x, t: asnn_deploy.report(n, (x, [0, 0]), profiles=None), InputError, "profiles = 'None'"),
    "one chip": (lambda n, x, t: asnn_deploy.report(n, (x, [0, 0]), chips="loihi3"), InputError, "chip 'loihi3'"),
    "verification": (
        lambda n, x, t: asnn_deploy.report(n, (x, [0, 0]), verification={}),
        InputError,
        "verification = '{}' (dict)",
    ),
    "list of two": (lambda n, x, t: asnn_deploy.verify(n, [x, [0, 0]]), DataError, "given as a tuple of two"),
    "ragged": (lambda n, x, t: asnn_deploy.run(n, [[[1, 2], [3]]]), DataError, "its parts differ in shape"),
    "loads a number": (lambda n, x, t: asnn_deploy.verify(n, lambda: 5), InputError, "data = '5' (int)"),
    "settings": (lambda n, x, t: asnn_deploy.export(n, "nir", t / "o.nir", settings=["a"]), InputError, "settings = "),
    "a key": (
        lambda n, x, t: asnn_deploy.train("digits-lenet", t / "o", settings={5: 6}),
        InputError,
        "key of settings",
    ),
    "start": (lambda n, x, t: asnn_deploy.train("digits-lenet", t / "o", start=5), InputError, "start = '5' (int)"),
    "arrays to train on": (
        lambda n, x, t: asnn_deploy.train("digits-lenet", t / "o", data=(x, [0, 0])),
        InputError,
        "expected NAME[:PATH] or loaded data",
    ),
    "zero in a path": (lambda n, x, t: asnn_deploy.save(n, "o\0.nir"), InputError, "holds no zero character"),
    "profile": (lambda n, x, t: asnn_deploy.report(n, (x, [0, 0]), profiles=["horowitz"]), InputError, "unknown"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_one_line_and_leave_nothing(case, tmp_path):
    call, kind, said = BAD[case]
    net = small_lenet()
    with pytest.raises(kind) as caught:
        call(net, image(net), tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not re.search(r"(^|\s)--[a-z]", str(caught.value)), "only the command line names options"
    assert list(tmp_path.iterdir()) == []


def test_notes_are_warnings_in_python_and_lines_on_the_command_line(tmp_path, capsys, monkeypatch):
    net = features.inexact_sums()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asnn_deploy.fit(net, "loihi2")
    notes = [str(w.message) for w in caught if issubclass(w.category, asnn_deploy.DeployNote)]
    path = asnn_deploy.save(net, tmp_path / "net.nir")
    assert command_line(["fit", str(path), "--chip", "loihi2"]) in (0, 1)
    said = capsys.readouterr().err
    assert [f"note: {note}" for note in notes] == [line for line in said.splitlines() if line.startswith("note:")]


def test_the_option_says_how_many_samples_are_simulated():
    from asnn_deploy.api.simulating import SAMPLES

    assert SIMULATED == SAMPLES


def test_every_function_says_what_it_returns_and_raises():
    assert {"load", "run", "train", "export", "verify", "report", "fit", "quantize", "save"} <= set(FUNCTIONS)
    for name in set(FUNCTIONS) - {"show_progress"}:
        said = inspect.getdoc(getattr(asnn_deploy, name))
        assert "Raises" in said, name
        assert "eturn" in said, name


def test_data_may_be_loaded_before(run_folder):
    loaded = load_data("digits")
    assert (
        asnn_deploy.verify(run_folder, loaded, targets=["nir"], limit=FEW).to_json()
        == asnn_deploy.verify(run_folder, "digits", targets=["nir"], limit=FEW).to_json()
    )


def test_errors_are_of_one_tree():
    assert issubclass(InputError, AsnnDeployError)
    assert asnn_deploy.AsnnDeployError is AsnnDeployError


@pytest.mark.parametrize("kept", ["run", "bundle"])
def test_a_verification_of_another_network_proves_nothing(run_folder, tmp_path, digits, kept):
    """A report leaves out what its folder kept from another state, says so, and refuses another network's file."""
    net = asnn_deploy.load(run_folder)
    images, labels = digits.part("test", 20)
    found = asnn_deploy.verify(run_folder, limit=4, targets="nir")
    place = tmp_path / kept
    if kept == "run":
        shutil.copytree(run_folder, place)
    else:
        asnn_deploy.export(run_folder, "lava", place)
    file = place / "verify.json"
    file.write_text(json.dumps(found.to_json()))
    assert asnn_deploy.report(place, limit=20).verify == found
    assert asnn_deploy.report(net, (images, labels), verification=file).verify == found

    other = asnn_deploy.quantize(net, images, bits=3).net
    with pytest.raises(InputError, match="is of another network, or of another state of it; verify this one"):
        asnn_deploy.report(other, (images, labels), verification=file)
    file.write_text(json.dumps(found.to_json() | {"network_sha256": fingerprint(other)}))
    with pytest.warns(DeployNote, match="is of another state of the network and left out"):
        assert asnn_deploy.report(place, limit=20).verify is None
    file.write_text(json.dumps({key: value for key, value in found.to_json().items() if key != "network_sha256"}))
    with pytest.warns(DeployNote, match="does not say which network it verified"):
        assert asnn_deploy.report(place, limit=20).verify is not None


def test_a_bundle_remembers_no_arrays(run_folder, tmp_path, digits):
    asnn_deploy.export(run_folder, "lava", tmp_path / "b", data=digits.part("test", 4))
    with pytest.raises(DataError, match="remembers no data; name a data set"):
        asnn_deploy.verify(tmp_path / "b")


def test_run_takes_data_by_name(run_folder):
    assert asnn_deploy.run(run_folder, "digits").samples == 360
