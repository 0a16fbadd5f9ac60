"""Bad input: one line on stderr that begins "error: ", exit code 2 (or 3), nothing left behind."""

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from asnn_deploy.cli import COMMANDS, run
from asnn_deploy.cli.common import Output


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Runs a command that must fail, in an empty folder; returns its one line."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def call(*arguments, code=2):
        before = sorted(work.rglob("*"))
        assert run([str(a) for a in arguments]) == code
        err = capsys.readouterr().err
        lines = [line for line in err.splitlines() if line.strip()]
        assert len(lines) == 1, err
        assert lines[0].startswith("error: ")
        assert "Traceback" not in err
        assert sorted(work.rglob("*")) == before, "something was left behind"
        return lines[0]

    return call


@pytest.fixture(scope="session")
def bundle(run_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "nir"
    assert run(["export", str(run_folder), "--target", "nir", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def broken_bundle(bundle, tmp_path):
    return shutil.copytree(bundle, tmp_path / "bundle")


TRAIN = ["train", "--preset", "digits-lenet", "--out", "run"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "--preset", "digit-lenet", "--out", "run"],
            "unknown preset 'digit-lenet'; did you mean 'digits-lenet'",
        ),
        (["train", "--out", "run"], "give a CONFIG.yaml or --preset NAME"),
        (["train", "c.yaml", "--preset", "digits-lenet", "--out", "run"], "not both"),
        (["train", "absent.yaml", "--out", "run"], "absent.yaml: no such configuration file"),
        (["train", "--preset", "digits-lenet"], "Missing option '--out'"),
        ([*TRAIN, "--coding", "latncy"], "unknown coding 'latncy'; did you mean 'latency'"),
        ([*TRAIN, "--neuron", "izhikevich"], "unknown neuron model 'izhikevich' (allowed: asnn,"),
        ([*TRAIN, "--time-steps", "0"], "--time-steps 0: must be at least 1"),
        ([*TRAIN, "--time-steps", "two"], "'two' is not a valid integer"),
        ([*TRAIN, "--epochs", "0"], "--epochs 0: must be at least 1"),
        ([*TRAIN, "--batch-size", "-4"], "--batch-size -4: must be at least 1"),
        ([*TRAIN, "--train-limit", "0"], "--train-limit 0: must be at least 1"),
        ([*TRAIN, "--batch-size", "1"], "--batch-size 1: input should be greater than or equal to 2"),
        ([*TRAIN, "--train-limit", "1"], "--train-limit 1: input should be greater than or equal to 2"),
        ([*TRAIN, "--devices", "0"], "--devices 0: must be at least 1"),
        ([*TRAIN, "--set", "loss.sop_penalty=-1"], "loss.sop_penalty = -1: input should be greater than or equal to 0"),
        ([*TRAIN, "--set", "model.widths=[0]"], "model.widths.0 = 0: input should be greater than or equal to 1"),
        ([*TRAIN, "--set", "dt=.inf"], "dt = inf: input should be a finite number"),
        (
            [*TRAIN, "--coding", "hybrid-latency", "--time-steps", "1"],
            "needs at least 2 time steps, found time_steps = 1",
        ),
        ([*TRAIN, "--set", "training.epoch=3"], "unknown key 'training.epoch'; did you mean 'training.epochs'"),
        ([*TRAIN, "--set", "training.learning_rate=-1"], "training.learning_rate = -1: input should be greater than 0"),
        ([*TRAIN, "--data", "digit"], "unknown data set 'digit'; did you mean 'digits'"),
        ([*TRAIN, "--data", "npz:absent.npz"], "absent.npz: no such file"),
        ([*TRAIN, "--set", "model.name=lenett"], "unknown model 'lenett'; did you mean 'lenet'"),
        ([*TRAIN, "--teacher", "absent.onnx"], "error: --teacher absent.onnx: no such file"),
        ([*TRAIN, "--set", "training.sharded=true"], "nothing to share out; raise --devices"),
        ([*TRAIN, "--resume"], "nothing to resume"),
        (
            [*TRAIN, "--set", "model.input_shape=[3,32,32]"],
            "images are (1, 8, 8) (channels, height, width), model.input_shape is (3, 32, 32); give other data, or --set "
            "model.input_shape=null to take theirs",
        ),
        ([*TRAIN, "--set", "model.classes=4"], "has 10 classes, model.classes is 4; give other data, or --set"),
        ([*TRAIN, "--data", "shd:events"], "data set 'shd' is planned and not there yet (allowed: cifar10,"),
        ([*TRAIN, "--set", "data.size=8"], "unknown choice of data set 'digits' 'data.size' (allowed: none)"),
        ([*TRAIN, "--data", "folder,size:x"], "'size' after the name; expected KEY=VALUE"),
        ([*TRAIN, "--set", "size=28x28", "--data", "folder:d"], "did you mean 'data.size'?"),
        ([*TRAIN, "--data", "folder,size=:d"], "'size=' after the name; expected KEY=VALUE"),
        ([*TRAIN, "--data", "folder:~nobody-of-that-name/d"], "the home folder is not known; give the whole path"),
        ([*TRAIN, "--data", "."], "data .: does not say what it is; pictures or arrays of your own are folder:."),
        ([*TRAIN, "--data", "npz:absent"], "no such file; give an .npz file"),
        ([*TRAIN, "--coding", "rate"], "coding 'rate' is planned and not there yet (allowed: direct,"),
        ([*TRAIN[:-1], "-"], "'-' is not a name for what is written"),
        ([*TRAIN[:-1], ""], "'' is not a name for what is written"),
        (["verify", "absent", "--json", ""], "'' is not a name for what is written"),
        (
            ["run", "absent", "--target", "nir", "--json", "x", "--outputs", "./x"],
            "'x' is where another option writes to",
        ),
        (
            ["run", "absent", "--target", "nir", "--image", "a.png", "--image", "b.png"],
            "takes one picture; several are",
        ),
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["run", "absent", "--target", "reference"], "absent: does not exist"),
        (["export", "absent", "--target", "nir", "--out", "x"], "absent: does not exist"),
        (["report", "absent", "--out", "x"], "absent: does not exist"),
        (["inspect", "absent"], "absent: does not exist"),
        (["verify", "absent"], "absent: does not exist"),
        (["verify", "absent", "--limit", "0"], "0 is not in the range x>=1"),
    ],
)
def test_usage(refused, arguments, message):
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--target", "lava-fixd"], "unknown target 'lava-fixd'; did you mean 'lava-fixed'"),
        (["run", "--target", "reference", "--limit", "0"], "0 is not in the range x>=1"),
        (["run", "--target", "reference", "--data", "mnist"], "needs a folder"),
        (["run", "--target", "reference", "--trace"], "give it too"),
        (["run", "--target", "norse"], "which only a run folder holds; give the run folder"),
        (["verify", "--target", "norce"], "unknown target 'norce'; did you mean 'norse'"),
        (["export", "--target", "lavva", "--out", "x"], "unknown exporter 'lavva'; did you mean 'lava'"),
        (["export", "--target", "onnx", "--out", "x.nir"], "exporter 'onnx' does not write .nir files"),
        (
            ["export", "--target", "onnx", "--out", "x", "--nir-dialect", "compact"],
            "writes no NIR dialects; use --target nir",
        ),
        (
            ["export", "--target", "nir", "--out", "x.nir", "--nir-dialect", "portible"],
            "--nir-dialect: unknown value 'portible'; did you mean 'portable'? (allowed: canonical, compact, extended, "
            "portable)",
        ),
        (
            ["export", "--target", "nir", "--out", "x.nir", "--nir-dialect", "portable", "--for", "norze"],
            "--for: unknown value 'norze'; did you mean 'norse'",
        ),
        (
            ["export", "--target", "nir", "--out", "x.nir", "--for", "norse"],
            "--for norse: only the dialect portable is written for a tool; add --nir-dialect portable",
        ),
        (
            ["export", "--target", "lava", "--out", "x", "--for", "norse"],
            "--for: unknown setting of exporter 'lava' 'for'",
        ),
        (["export", "--target", "onnx", "--out", "x.onnx", "--bits", "4"], "holds the float network only"),
        (["quantize", "--bits", "1"], "--bits: weights have 2 to 8 bits, found 1"),
        (["quantize", "--bits", "9"], "--bits: weights have 2 to 8 bits, found 9"),
        (["export", "--target", "nir", "--out", "x.nir", "--bits", "1"], "--bits: weights have 2 to 8 bits, found 1"),
        (["export", "--target", "nir", "--out", "x.nir", "--bits", "9"], "--bits: weights have 2 to 8 bits, found 9"),
        (
            ["export", "--target", "lava", "--out", "x", "--set", "proceses=stock"],
            "--set proceses: unknown setting of exporter 'lava' 'proceses'; did you mean 'processes'",
        ),
        (
            ["export", "--target", "lava", "--out", "x", "--set", "processes=stok"],
            "--set processes: unknown value 'stok'; did you mean 'stock'? (allowed: fused, stock)",
        ),
        (["export", "--target", "lava", "--out", "x", "--set", "processes"], "expected KEY=VALUE"),
        (["export", "--target", "onnx", "--out", "x", "--set", "processes=stock"], "'processes' (allowed: none)"),
        (
            ["export", "--target", "lava", "--out", "x", "--set", "processes=stock"],
            "layer 'conv1_synapses' (conv): weight is not the same at all 3 time steps, and Lava's own Processes",
        ),
        (["run", "--target", "lava-stock"], "layer 'conv1' (neuron): neuron model 'lif' is none of Lava's own; make"),
        (
            ["report", "--out", "r", "--profile", "horowitz"],
            "unknown energy profile 'horowitz'; did you mean 'horowitz-45nm'",
        ),
    ],
)
def test_usage_on_a_bundle(refused, bundle, arguments, message):
    assert message in refused(arguments[0], bundle, *arguments[1:])


def test_images_that_do_not_fit_the_network(refused, bundle, tmp_path):
    x = np.zeros((4, 9, 9), np.uint8)
    np.savez(tmp_path / "d.npz", x_train=x, x_test=x, y_train=np.arange(4), y_test=np.arange(4))
    line = refused("run", bundle, "--target", "reference", "--data", f"npz:{tmp_path / 'd.npz'}")
    assert "images are (1, 9, 9) (channels, height, width), the network takes (1, 8, 8)" in line
    np.savez(
        tmp_path / "d.npz", x_train=x[:, :8, :8], x_test=x[:, :8, :8], y_train=np.arange(4) * 5, y_test=np.arange(4)
    )
    line = refused("run", bundle, "--target", "reference", "--data", f"npz:{tmp_path / 'd.npz'}")
    assert "has 16 classes, the network answers 10" in line


def test_cuda_absent(refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "--device cuda: no CUDA device is available here" in refused(*TRAIN, "--device", "cuda")


def test_a_misspelt_key_in_a_file(refused):
    with open("c.yaml", "w") as file:
        file.write("codng: latency\n")
    assert "c.yaml: unknown key 'codng'; did you mean 'coding'" in refused("train", "c.yaml", "--out", "run")


def test_run_folders(refused, run_folder, tmp_path):
    copied = shutil.copytree(run_folder, tmp_path / "run")
    (copied / "model.safetensors").write_bytes((run_folder / "model.safetensors").read_bytes()[:500])
    assert "model.safetensors: damaged" in refused("run", copied, "--target", "reference")
    (copied / "model.safetensors").unlink()
    assert "model.safetensors: missing" in refused("verify", copied)
    shutil.copy(run_folder / "model.safetensors", copied)
    config = (copied / "config.yaml").read_text()
    (copied / "config.yaml").write_text(config.replace("hidden: 16", "hidden: 24"))
    assert "these are the weights of another network" in refused("inspect", copied)
    (copied / "config.yaml").write_text("a: [")
    assert "not readable as YAML" in refused("inspect", copied)
    os.mkdir("empty")
    assert "empty: not a run folder" in refused("inspect", "empty")


def test_resume_with_another_architecture(refused, run_folder, tmp_path):
    copied = shutil.copytree(run_folder, tmp_path / "run")
    line = refused("train", "--preset", "digits-lenet", "--out", copied, "--resume")
    assert "was trained with model.widths = [6, 8], now [24, 48, 64]" in line


def test_bundles(refused, broken_bundle):
    network, manifest = broken_bundle / "network.nir", broken_bundle / "manifest.json"
    whole, text = network.read_bytes(), manifest.read_text()
    network.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "network.nir: does not match its hash in manifest.json" in refused("inspect", broken_bundle)
    network.unlink()
    assert "network.nir: missing, though manifest.json names it" in refused("inspect", broken_bundle)
    network.write_bytes(whole)
    for change, message in (
        (lambda m: m.update(schema=2), "schema 2, this version reads schema 1"),
        (lambda m: m.pop("files"), "not a bundle's manifest"),
        (lambda m: m["files"].update({"../evil": "0"}), "not a plain file name"),
        (lambda m: m["files"].clear(), "names no network.nir"),
    ):
        changed = json.loads(text)
        change(changed)
        manifest.write_text(json.dumps(changed))
        assert message in refused("inspect", broken_bundle)
    for damage in ("", "{", "[]", "3"):
        manifest.write_text(damage)
        assert "not a bundle's manifest" in refused("inspect", broken_bundle)


def test_nir_files(refused, bundle, tmp_path):
    whole = (bundle / "network.nir").read_bytes()
    for name, content in (("no.nir", b"hello"), ("cut.nir", whole[: len(whole) // 2]), ("empty.nir", b"")):
        (tmp_path / name).write_bytes(content)
        assert name in refused("inspect", tmp_path / name)
    (tmp_path / "text.txt").write_text("x")
    assert "is not a run folder, bundle or .nir file" in refused("inspect", tmp_path / "text.txt")


@pytest.mark.parametrize("command", ["train", "export", "report", "quickstart"])
def test_an_output_folder_that_is_not_ours(refused, bundle, command):
    os.mkdir("mine")
    with open("mine/letter.txt", "w") as file:
        file.write("dear")
    arguments = {
        "train": ["train", "--preset", "digits-lenet"],
        "export": ["export", bundle, "--target", "nir"],
        "report": ["report", bundle],
        "quickstart": ["quickstart"],
    }[command]
    assert "mine: exists and was not made by this command" in refused(*arguments, "--out", "mine")


def test_a_full_disk_leaves_the_old_bundle_whole(refused, run_folder, monkeypatch):
    assert run(["export", str(run_folder), "--target", "onnx", "--out", "bundle"]) == 0
    before = {path.name: path.read_bytes() for path in Path("bundle").iterdir()}
    from asnn_deploy.deploy import bundle as bundle_module

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle_module, "digest", full)
    line = refused("export", run_folder, "--target", "onnx", "--out", "bundle")
    assert "bundle: cannot be written (No space left on device); free space or choose another place" in line
    assert {path.name: path.read_bytes() for path in Path("bundle").iterdir()} == before


def test_a_failure_between_the_renames_leaves_the_old_bundle_whole(refused, run_folder, monkeypatch):
    assert run(["export", str(run_folder), "--target", "nir", "--out", "bundle"]) == 0
    before = {path.name: path.read_bytes() for path in Path("bundle").iterdir()}
    real, calls = os.replace, []

    def second_fails(source, target):
        calls.append(target)
        if str(target) == "bundle" and len(calls) < 50 and ".old." not in str(source):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    assert "bundle: cannot be written" in refused("export", run_folder, "--target", "nir", "--out", "bundle")
    assert {path.name: path.read_bytes() for path in Path("bundle").iterdir()} == before


def test_an_interrupted_quickstart_can_be_repeated(monkeypatch, tmp_path):
    from asnn_deploy.cli import quickstart_command

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(quickstart_command, "train", interrupt)
        assert run(["quickstart", "--out", str(tmp_path / "q")]) == 130
        assert run(["quickstart", "--out", str(tmp_path / "q")]) == 130


def test_no_arguments_show_the_help(capsys):
    assert run([]) == 0
    assert "quickstart" in capsys.readouterr().out


def test_an_unwritable_json_file(refused, bundle):
    os.mkdir("taken")
    line = refused("run", bundle, "--target", "reference", "--limit", "2", "--json", "taken")
    assert "taken: cannot be written" in line


@pytest.mark.parametrize(
    "command", ["quickstart", "train", "import x", "export x --target nir", "report x", "compare x y", "sweep x"]
)
@pytest.mark.parametrize("place", ["a-file/below", "link/below"])
def test_a_place_that_cannot_be_written_is_said_before_anything_else(refused, command, place):
    """Even before the source, which is not there."""
    Path("a-file").touch()
    Path("link").symlink_to("absent")
    line = refused(*command.split(), "--out", place)
    assert f"{place}: cannot be written (" in line


def test_every_option_that_names_a_place_looks_at_it():
    """An option whose help says that it writes, or names a folder for what comes."""
    places = {"--out", "--outputs", "--json"}
    for name in COMMANDS:
        command = import_module(f"asnn_deploy.cli.{name}_command").command
        found = {option for parameter in command.params for option in parameter.opts if option in places}
        looked = {o for parameter in command.params if isinstance(parameter.type, Output) for o in parameter.opts}
        assert found == looked, name


def test_a_bug_is_one_line_too(refused, bundle, monkeypatch):
    from asnn_deploy.deploy import source

    def broken(*args):
        raise RuntimeError("something\nodd")

    monkeypatch.setattr(source, "read_nir", broken)
    assert "internal: RuntimeError: something odd; this is a bug" in refused("inspect", bundle, code=3)


def test_interrupted(bundle, monkeypatch, capsys):
    from asnn_deploy.deploy import source

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "read_nir", interrupt)
    assert run(["inspect", str(bundle)]) == 130
    assert capsys.readouterr().err.split("\n")[-2] == "error: interrupted"


def test_folders_of_others_are_never_replaced(refused, run_folder, bundle):
    export = ["export", run_folder, "--target", "nir", "--out"]
    os.mkdir("webapp")
    Path("webapp/manifest.json").write_text('{"name": "app"}')
    Path("webapp/index.js").write_text("precious")
    assert "webapp: exists and was not made by this command (" in refused(*export, "webapp")
    shutil.copytree(bundle, "ours")
    Path("ours/notes.txt").write_text("precious")
    assert "ours: holds 'notes.txt', which is not the bundle's" in refused(*export, "ours")
    shutil.copytree(run_folder, "trained")
    assert "trained: exists and was not made by this command" in refused("quickstart", "--out", "trained")


def test_links_and_devices_are_written_to_not_replaced(bundle, tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    assert run(["run", str(bundle), "--target", "reference", "--limit", "2", "--json", str(link)]) == 0
    assert link.is_symlink()
    assert json.loads(real.read_text())["samples"] == 2
    assert real.stat().st_mode & 0o777 == 0o600
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run(["inspect", str(bundle), "--json", str(tmp_path / "pipe")]) == 0
    assert json.loads(os.read(reader, 1 << 20))["time_steps"] == 3
    os.close(reader)


def test_a_foreign_integer_version_is_refused(refused, run_folder, tmp_path):
    from networks.lenet import small_lenet

    from asnn_deploy.ir.serialize import save_graph
    from asnn_deploy.quantizing import quantize
    from asnn_deploy.util.files import digest

    folder = tmp_path / "lava"
    assert run(["export", str(run_folder), "--target", "lava", "--out", str(folder)]) == 0
    save_graph(folder / "fixed.npz", quantize(small_lenet()))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["fixed.npz"] = digest(folder / "fixed.npz")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "fixed.npz: is not the integer version of network.nir" in refused("inspect", folder)


def test_resume_needs_a_whole_checkpoint_and_something_to_do(refused, run_folder, tmp_path):
    copied = shutil.copytree(run_folder, tmp_path / "run")
    resume = ["train", "--out", copied, "--resume"]
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    assert "has its 3 epochs already; raise --epochs" in refused(*resume)
    assert "has its 3 epochs already" in refused(*resume, "--epochs", "2")
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    checkpoint = copied / "checkpoints" / "last.ckpt"
    for damage in (b"", b"garbage", before[checkpoint][:1000]):
        checkpoint.write_bytes(damage)
        assert "last.ckpt: damaged" in refused(*resume, "--epochs", "9")
    checkpoint.unlink()
    checkpoint.with_name("previous.ckpt").unlink()
    assert "last.ckpt: missing, though the run is finished" in refused(*resume, "--epochs", "9")
    assert (copied / "config.yaml").read_bytes() == before[copied / "config.yaml"]


def test_one_training_a_folder(refused, run_folder, tmp_path):
    from asnn_deploy.util.files import holding_folder

    copied = shutil.copytree(run_folder, tmp_path / "run")
    with holding_folder(copied):
        line = refused("train", "--out", copied, "--resume", "--epochs", "9")
    assert f"{copied}: another process is writing to it; wait until it has ended, or choose another folder" in line


def test_a_full_disk_while_training_leaves_nothing_new(refused, monkeypatch):
    real = Path.write_bytes

    def full(path, content):
        if "ckpt" in path.name:
            real(path, content[:1000])
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    line = refused(*TRAIN, "--epochs", "1")
    assert "last.ckpt: cannot be written (No space left on device)" in line


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_polite_signal_is_an_interruption(run_folder, tmp_path, name):
    code = (
        f"import os, signal, sys; signal.signal(signal.{name}, signal.SIG_DFL); "  # also where the tests run under nohup
        "from asnn_deploy.deploy import bundle; from asnn_deploy.cli import main; "
        f"bundle.digest = lambda path: os.kill(os.getpid(), signal.{name}); main(sys.argv[1:])"
    )
    arguments = ["export", str(run_folder), "--target", "onnx", "--out", str(tmp_path / "bundle")]
    shown = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert shown.returncode == 130, shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_under_nohup_a_lost_terminal_interrupts_nothing(run_folder, tmp_path):
    code = (
        "import os, signal, sys; from asnn_deploy.deploy import bundle; from asnn_deploy.cli import main; real = bundle.digest; "
        "bundle.digest = lambda path: os.kill(os.getpid(), signal.SIGHUP) or real(path); main(sys.argv[1:])"
    )
    arguments = ["export", str(run_folder), "--target", "onnx", "--out", str(tmp_path / "bundle")]
    shown = subprocess.run(
        ["bash", "-c", "trap '' HUP; exec \"$@\"", "bash", sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "bundle" / "manifest.json").is_file()


def test_a_bundle_that_cannot_be_put_back_is_not_deleted(run_folder, monkeypatch, tmp_path, capsys):
    out = tmp_path / "bundle"
    arguments = ["export", str(run_folder), "--target", "nir", "--out", str(out)]
    assert run(arguments) == 0
    whole = (out / "network.nir").read_bytes()
    real = os.replace

    def only_away(source, target):
        if str(target) == str(out):
            raise OSError(30, "Read-only file system")
        real(source, target)

    monkeypatch.setattr(os, "replace", only_away)
    assert run(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")
    (kept,) = tmp_path.rglob("network.nir")
    assert kept.read_bytes() == whole


def test_a_closed_pipe_is_no_broken_promise(bundle):
    program = f"{sys.executable} -c 'from asnn_deploy.cli import main; main()' list"
    shown = subprocess.run(["bash", "-c", f"{program} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True)
    assert shown.returncode in (0, 3)


def test_the_best_epoch_needs_a_validation_split(refused, monkeypatch):
    """Said before anything is trained or written, with what to set."""
    from asnn_deploy.training import train

    monkeypatch.setattr(train, "_start", lambda *_: pytest.fail("the training has begun"))
    line = refused("train", "--preset", "digits-lenet", "--set", "training.deploy=best", "--out", "run")
    assert "training.deploy = best" in line
    assert "--set training.validation=0.1" in line
