"""The commands as users type them, held against the contract of files and exit codes."""

import json
import os
import re
import subprocess
import sys

import click
import numpy as np
import pytest
from networks.lenet import small_lenet

import asnn_deploy
from asnn_deploy.cli import COMMANDS, run
from asnn_deploy.deploy.registry import EXPORTERS, TARGETS
from asnn_deploy.reporting.numbers import interval_text

LAVA_MISSING = TARGETS.find("lava").unavailable()
needs_lava = pytest.mark.skipif(bool(LAVA_MISSING), reason=str(LAVA_MISSING))


def asnn(*arguments):
    return run([str(a) for a in arguments])


def finite_json(path):
    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.fixture(scope="session")
def bundles(run_folder, tmp_path_factory):
    """The run exported to every format; Lava's last."""
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("nir", "onnx") if LAVA_MISSING else ("nir", "onnx", "lava"):
        assert asnn("export", run_folder, "--target", name, "--out", folder / name) == 0
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, capsys):
    assert asnn(command, "--help") == 0
    assert f"Example: asnn-deploy {command}" in " ".join(capsys.readouterr().out.split())


def test_help_and_version_of_the_program():
    """How fast they are, `benchmarks/cli.py` measures; what they load, tests/house/test_imports.py."""
    for option, expected in (("--help", "quickstart"), ("--version", asnn_deploy.__version__)):
        shown = subprocess.run(
            [sys.executable, "-c", "from asnn_deploy.cli import main; main()", option], capture_output=True, text=True
        )
        assert shown.returncode == 0
        assert expected in shown.stdout


def test_every_command_is_told_in_one_line_of_a_narrow_terminal():
    from asnn_deploy.cli import cli

    context = click.Context(cli, terminal_width=80, max_content_width=80)
    lines = cli.get_help(context).split("Commands:")[1].splitlines()
    shown = [line.split()[0] for line in lines if line.startswith("  ") and line.strip()]
    assert set(COMMANDS) <= set(shown)
    assert not [line for line in lines if line.endswith("...") and "chips" not in line]


def test_train_writes_a_run_folder(tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["train", "--preset", "digits-lenet", "--out", out, "--epochs", 1, "--train-limit", 100]
    assert (
        asnn(*arguments, "--set", "model.widths=[4, 4]", "--neuron", "lif", "--coding", "direct", "--time-steps", 2)
        == 0
    )
    summary = finite_json(out / "summary.json")
    wanted = (
        "test_accuracy",
        "train_accuracy",
        "epochs",
        "time_steps",
        "parameters",
        "samples_per_second",
        "seed",
        "preset",
        "coding",
        "neuron",
        "versions",
    )
    assert all(key in summary for key in wanted)
    assert (summary["neuron"], summary["coding"], summary["time_steps"]) == ("lif", "direct", 2)
    assert summary["train_accuracy_samples"] == 100, "as many as were trained on"
    shown = capsys.readouterr().out
    for accuracy in ("test accuracy as deployed", "as deployed", "as trained", "in integers"):
        assert shown.count(accuracy) == 1, "each accuracy is told once, by a name that no other has"
    assert asnn("train", "--preset", "digits-lenet", "--out", out) == 2
    assert "holds a run already; resume it, or choose another folder" in capsys.readouterr().err


def test_train_from_a_file(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("model: {widths: [4], hidden: 8}\ntime_steps: 2\ntraining: {epochs: 1, limit: 64}\n")
    assert asnn("train", config, "--out", tmp_path / "run") == 0
    assert finite_json(tmp_path / "run" / "summary.json")["preset"] is None


@pytest.mark.parametrize("name", ["nir", "onnx", pytest.param("lava", marks=needs_lava)])
def test_bundles_are_whole(bundles, name):
    manifest = finite_json(bundles / name / "manifest.json")
    assert manifest["schema"] == 1
    assert manifest["format"] == name
    assert manifest["time_steps"] == 3
    assert set(manifest["files"]) == {p.name for p in (bundles / name).iterdir()} - {"manifest.json"}
    assert manifest["created_by"] == f"asnn-deploy {asnn_deploy.__version__}"
    assert asnn_deploy.load(bundles / name) == asnn_deploy.load(bundles / "nir")


@needs_lava
def test_a_lava_bundle_runs_by_its_own_script(bundles):
    shown = subprocess.run([sys.executable, "run.py"], cwd=bundles / "lava", capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip()


def test_single_files(run_folder, tmp_path):
    for name in ("nir", "onnx"):
        assert asnn("export", run_folder, "--target", name, "--out", tmp_path / f"n.{name}") == 0
        assert (tmp_path / f"n.{name}").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["n.nir", "n.onnx"]
    assert asnn_deploy.load(tmp_path / "n.nir") == asnn_deploy.load(run_folder)


def test_bits_change_the_integer_version(run_folder, tmp_path):
    assert asnn("export", run_folder, "--target", "nir", "--out", tmp_path / "four.nir", "--bits", 4) == 0
    assert asnn_deploy.load(tmp_path / "four.nir").quantization.bits == 4


def test_run_says_that_its_speed_is_that_of_a_simulation_on_this_machine(bundles, capsys):
    assert asnn("run", bundles / "nir", "--target", "reference", "--limit", 4) == 0
    assert re.fullmatch(
        r"reference: accuracy \d+\.\d\d % on 4 samples, simulated here at [\d.]+ samples/s in its first batch\n",
        capsys.readouterr().out,
    )


def test_run_writes_figures_and_outputs(bundles, tmp_path):
    figures, outputs = tmp_path / "run.json", tmp_path / "out.npz"
    assert (
        asnn(
            "run",
            bundles / "nir",
            "--target",
            "reference",
            "--limit",
            30,
            "--batch-size",
            8,
            "--json",
            figures,
            "--outputs",
            outputs,
            "--trace",
        )
        == 0
    )
    run_json = finite_json(figures)
    assert run_json["samples"] == len(run_json["predictions"]) == 30
    assert run_json["target"] == "reference"
    with np.load(outputs, allow_pickle=False) as arrays:
        assert arrays.files == ["logits", "spikes/conv1", "spikes/conv2", "spikes/fc1"]
        assert arrays["logits"].shape == (30, 10)
        assert arrays["spikes/conv1"].shape == (3, 30, 6, 8, 8)
        assert arrays["logits"].argmax(1).tolist() == run_json["predictions"]


def test_the_python_interface_says_the_same(bundles, tmp_path, digits):
    net = asnn_deploy.load(str(bundles / "nir"))
    outputs = tmp_path / "out.npz"
    images = digits.images["test"][:20, 0]
    for target in ("reference", "reference-fixed", "nir", "onnxruntime"):
        assert asnn("run", bundles / "nir", "--target", target, "--limit", 20, "--outputs", outputs) == 0
        for given in (images, images[..., None], images / 255):
            trace = asnn_deploy.run(net, given, target=target)
            with np.load(outputs) as arrays:
                assert np.array_equal(trace.logits, arrays["logits"])
        assert trace.spikes["conv1"].shape == (3, 20, 6, 8, 8)


def check_verify(path, targets, samples):
    result = finite_json(path)
    assert result["samples"] == samples
    assert sorted(result["targets"]) == sorted(targets)
    for name, target in result["targets"].items():
        total = sum(sum(layer["per_step_mismatches"]) for layer in target["layers"])
        assert total == target["spike_mismatches"]
        assert target["spikes_compared"] == samples * 3 * (6 * 64 + 8 * 16 + 16)
        if name != "reference-fixed":
            assert target["exact"], name
            assert target["logits_equal"], name
            assert target["first_divergence"] is None
        assert sum(sum(layer["per_step_spikes"]) for layer in target["layers"]) > 0
    return result


@needs_lava
def test_verify_a_run_on_everything(run_folder, tmp_path):
    assert asnn("verify", run_folder, "--limit", 70, "--batch-size", 32, "--json", tmp_path / "v.json") == 0
    targets = ["norse", "reference", "nir", "onnxruntime", "lava", "reference-fixed", "norse-fixed", "lava-fixed"]
    result = check_verify(tmp_path / "v.json", targets, 70)
    assert result["targets"]["lava"]["against"] == "norse"
    assert result["targets"]["norse"]["against"] == "reference"
    assert result["targets"]["lava-fixed"]["against"] == "reference-fixed"
    assert result["targets"]["reference-fixed"]["against"] == "reference"
    assert result["snapping"]["spikes_changed"] >= 0
    assert result["order_free"] is True


def test_verify_a_bundle_and_a_file(bundles, tmp_path):
    chosen = ["--target", "nir", "--target", "onnxruntime", "--target", "reference-fixed"]
    for source in (bundles / "onnx", bundles / "nir" / "network.nir"):
        assert asnn("verify", source, *chosen, "--data", "digits", "--limit", 40, "--json", tmp_path / "v.json") == 0
        result = check_verify(tmp_path / "v.json", chosen[1::2], 40)
        assert result["targets"]["nir"]["against"] == "reference"


def test_verify_all_of_a_bundle_includes_norse_only_for_runs(bundles, tmp_path):
    if LAVA_MISSING:
        pytest.skip(LAVA_MISSING)
    assert asnn("verify", bundles / "lava", "--limit", 10, "--json", tmp_path / "v.json") == 0
    check_verify(tmp_path / "v.json", ["nir", "onnxruntime", "lava", "reference-fixed", "lava-fixed"], 10)


def test_a_broken_promise_is_exit_code_one(bundles, monkeypatch, tmp_path, capsys):
    from asnn_targets import nir as nir_target

    real = nir_target.target.open

    class Lying:
        def __init__(self, session):
            self.session = session

        def __enter__(self):
            self.session.__enter__()
            return self

        def __exit__(self, *details):
            return self.session.__exit__(*details)

        def run(self, images, record):
            trace = self.session.run(images, record)
            spikes = {name: s.copy() for name, s in trace.spikes.items()}
            spikes["conv2"][2, 3, 1, 0, 2] ^= 1
            return asnn_deploy.Trace(trace.target, trace.logits, spikes)

    monkeypatch.setattr(nir_target.target, "open", lambda *a: Lying(real(*a)), raising=False)
    code = asnn("verify", bundles / "nir", "--target", "nir", "--limit", 5, "--json", tmp_path / "v.json")
    assert code == 1
    first = finite_json(tmp_path / "v.json")["targets"]["nir"]["first_divergence"]
    assert (first["layer"], first["step"], first["sample"], first["index"]) == ("conv2", 2, 3, [1, 0, 2])
    assert "nir: first divergence in layer conv2, step 2, sample 3, index [1, 0, 2]" in capsys.readouterr().out


def test_inspect(bundles, tmp_path, capsys):
    assert asnn("inspect", bundles / "nir", "--json", tmp_path / "i.json") == 0
    result = finite_json(tmp_path / "i.json")
    layers = {layer["name"]: layer for layer in result["layers"]}
    assert result["parameters"] == sum(layer["parameters"] for layer in result["layers"])
    assert len(layers["conv1"]["step_tables"]["leak"]) == 3
    assert layers["conv1_synapses"]["step_tables"]["weight"]["index"] == [0, 1, 1]
    assert len(layers["conv1_synapses"]["order_free"]) == 2
    assert all(entry["exact"] and entry["bits"] <= 24 for entry in layers["conv1_synapses"]["order_free"])
    assert "2^" in capsys.readouterr().out


def test_quantize_gives_each_accuracy_with_its_interval(bundles, tmp_path, capsys):
    assert asnn("quantize", bundles / "nir", "--limit", 20, "--json", tmp_path / "q.json") == 0
    result, said = finite_json(tmp_path / "q.json"), capsys.readouterr().out
    for key, what in (("accuracy_float", "float"), ("accuracy", "integers")):
        share = result[key]
        assert f"{100 * share:.2f} % (95 % interval {interval_text(share, 20)}) in {what}" in said


def test_list_names_everything(capsys):
    assert asnn("list") == 0
    shown = capsys.readouterr().out
    for name in (
        "digits-lenet",
        "cifar-lenet",
        "hybrid-embedding",
        "lava-fixed",
        "onnxruntime",
        "horowitz-45nm",
        "lemaire-2022",
        "loihi1-davies-2018",
    ):
        assert name in shown


def test_report(bundles, tmp_path):
    out = tmp_path / "report"
    assert asnn("report", bundles / "onnx", "--limit", 30, "--out", out, "--profile", "horowitz-45nm") == 0
    assert {p.name for p in out.iterdir()} == {"report.html", "report.json", "report.md", "samples.npz"}
    report = finite_json(out / "report.json")
    assert list(report["profiles"]) == ["horowitz-45nm"]
    assert report["samples"] == 30
    assert asnn("report", bundles / "onnx", "--limit", 10, "--out", out) == 0
    assert finite_json(out / "report.json")["samples"] == 10


@pytest.mark.skipif(bool(LAVA_MISSING), reason=str(LAVA_MISSING))
def test_quickstart_at_tiny_size(tmp_path):
    out = tmp_path / "demo"
    for _ in range(2):  # the second run replaces the first
        assert asnn("quickstart", "--out", out, "--epochs", 1, "--limit", 20) == 0
    summary = finite_json(out / "summary.json")
    assert all(target["exact"] for name, target in summary["targets"].items() if name != "reference-fixed")
    for name in (
        "run/model.safetensors",
        "network.nir",
        "network.onnx",
        "lava/manifest.json",
        "report/report.html",
        "fit.json",
    ):
        assert (out / name).is_file()


def test_memory_of_verify_stays_flat(tmp_path):
    """10,000 digits-sized samples on `reference` stay under 1 GB, and need hardly more than 1,000 do."""
    rng = np.random.default_rng(0)
    # Kept spikes would take 4 steps x (64 x 64 + ...) bytes a sample: 160 MB for 10,000.
    EXPORTERS.find("nir").write(small_lenet(classes=10, widths=(64, 8, 12)), tmp_path)
    peaks = []
    for count in (1_000, 10_000):
        images, labels = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8), np.arange(count) % 10
        np.savez(tmp_path / "d.npz", x_train=images[:20], y_train=labels[:20], x_test=images, y_test=labels)
        peaks.append(peak_kilobytes(tmp_path))
    assert peaks[1] < 1_000_000
    assert peaks[1] - peaks[0] < 40_000


def peak_kilobytes(folder):
    """Of a verify in a process of its own."""
    code = (
        # VmHWM, not ru_maxrss: the latter still knows the process that this one was forked from.
        "import re, sys; from asnn_deploy.cli import run; code = run(sys.argv[1:]); "
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]); sys.exit(code)"
    )
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "verify",
            str(folder / "network.nir"),
            "--target",
            "reference",
            "--target",
            "reference-fixed",
            "--data",
            f"npz:{folder / 'd.npz'}",
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert shown.returncode == 0, shown.stderr
    return int(shown.stdout.split()[-1])
