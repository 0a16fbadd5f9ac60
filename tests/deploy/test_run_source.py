"""A run folder as a SOURCE: deployed as training left it, without torch, as long as its files belong together."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from asnn_deploy.deploy.source import open_source
from asnn_deploy.errors import BundleError
from asnn_deploy.models.lowering import lower
from asnn_deploy.training.run_folder import DIGESTS, kept_network, read_summary
from asnn_deploy.training.trained import load_run

HEAVY = {"torch", "norse", "lightning", "torchvision", "sklearn", "lava", "onnx"}


@pytest.fixture
def copied(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    return folder


def lowered(folder):
    run = load_run(folder)
    return replace(lower(run.network, run.config.dt), quantization=run.quantization)


def test_it_is_the_network_that_its_weights_are_lowered_to(run_folder):
    kept = kept_network(run_folder, read_summary(run_folder)[0])
    assert kept == lowered(run_folder)
    assert open_source(run_folder).graph == kept


def change_weights(folder):
    weights = load_file(folder / "model.safetensors")
    key = next(key for key, value in weights.items() if value.ndim == 4)
    save_file(
        weights | {key: weights[key] * np.float32(2)}, folder / "model.safetensors", {"format": "asnn-deploy run"}
    )


def of_an_older_version(folder):
    summary = json.loads((folder / "summary.json").read_text())
    del summary[DIGESTS]
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "network.npz").unlink()


@pytest.mark.parametrize(
    "change", [change_weights, of_an_older_version, lambda folder: (folder / "network.npz").unlink()]
)
def test_weights_that_changed_since_are_lowered_again(change, copied):
    change(copied)
    assert kept_network(copied, read_summary(copied)[0]) is None
    assert open_source(copied).graph == lowered(copied)


def test_a_network_that_is_damaged_in_spite_of_its_digest_is_refused(copied):
    (copied / "network.npz").write_bytes(b"PK")
    summary = json.loads((copied / "summary.json").read_text())
    summary[DIGESTS]["network.npz"] = hashlib.sha256(b"PK").hexdigest()
    (copied / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(BundleError, match="not a readable graph file"):
        open_source(copied)


@pytest.mark.parametrize("digests", [None, 3, [], {}, {"config.yaml": 1}])
def test_made_up_digests_are_no_harm(digests, copied):
    summary = json.loads((copied / "summary.json").read_text()) | {DIGESTS: digests}
    (copied / "summary.json").write_text(json.dumps(summary))
    assert open_source(copied).graph == lowered(copied)


def loaded_by(*arguments):
    """The heavy packages that a command has loaded by its end, and what it said."""
    code = (
        "import sys\nfrom asnn_deploy.cli import run\ncode = run(sys.argv[1:])\n"
        f"print(code, *sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    *said, last = shown.stderr.splitlines()
    return last.split(), "\n".join(said)


@pytest.mark.parametrize("arguments", [["inspect"], ["fit", "--chip", "loihi2"]])
def test_what_needs_no_torch_loads_none(arguments, run_folder):
    assert loaded_by(arguments[0], str(run_folder), *arguments[1:])[0] == ["0"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--preset", "digits-lenet", "--data", "mnits:x", "--out", "{new}"], "'mnits'"),
        (["train", "--preset", "digit-lenet", "--out", "{new}"], "'digit-lenet'"),
        (["train", "--preset", "digits-lenet", "--out", "{run}"], "holds a run already"),
        (["train", "--preset", "digits-lenet", "--set", "model.name=lent", "--out", "{new}"], "lent"),
        (["train", "--preset", "digits-lenet", "--set", "model.wdiths=3", "--out", "{new}"], "wdiths"),
        (["train", "--preset", "digits-lenet", "--coding", "latnecy", "--out", "{new}"], "latnecy"),
        (["train", "--preset", "fashion-lenet", "--data", "npz:{new}.npz", "--out", "{new}"], "new.npz"),
        (["train", "{new}.yaml", "--out", "{new}"], "new.yaml"),
        (["train", "--resume", "--out", "{new}"], "nothing to resume"),
        (["quickstart", "--out", "{run}"], "{run}"),
        (["run", "{new}", "--target", "reference"], "does not exist"),
        (["run", "{run}", "--target", "reference", "--data", "digist"], "'digist'"),
        (["run", "{run}", "--target", "lvaa"], "'lvaa'"),
        (["verify", "{run}", "--target", "lvaa"], "'lvaa'"),
        (["export", "{run}", "--target", "nri", "--out", "{new}"], "nri"),
        (["export", "{run}", "--target", "nir", "--out", "{run}"], "{run}"),
        (["fit", "{run}", "--chip", "loihi3"], "loihi3"),
        (["quantize", "{run}", "--data", "digist"], "'digist'"),
        (["report", "{run}", "--data", "digist", "--out", "{new}"], "'digist'"),
        (["report", "{run}", "--profile", "loihi9", "--out", "{new}"], "loihi9"),
        (["sweep", "{run}", "--bits", "4", "--out", "{new}", "--data", "digist"], "'digist'"),
        (["compare", "{new}", "{run}", "--out", "{new}"], "{new}"),
        (["import", "{new}.pt", "--kind", "asnn-reference", "--coding", "time", "--out", "{run}"], "{run}"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_be_checked_first_is_said_before_torch_is_loaded(arguments, said, run_folder, tmp_path):
    places = {"new": tmp_path / "new", "run": run_folder}
    before = sorted(path.name for path in Path(run_folder).iterdir())
    code, *heavy = (found := loaded_by(*(text.format(**places) for text in arguments)))[0]
    assert code == "2"
    assert said.format(**places) in found[1]
    assert not heavy
    assert not (tmp_path / "new").exists()
    assert sorted(path.name for path in Path(run_folder).iterdir()) == before
