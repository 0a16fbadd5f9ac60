"""`run --exit-margin`: equal answers and steps on the four targets, and what is refused."""

import json

import numpy as np
import pytest

from asnn_deploy.cli import run
from asnn_deploy.deploy.registry import TARGETS

needs_lava = pytest.mark.skipif(TARGETS.find("lava").unavailable() is not None, reason="needs Lava")


def asnn(*arguments):
    return run([str(a) for a in arguments])


def answers(run_folder, folder, target, *more, margin=0.3):
    file, arrays = folder / f"{target}.json", folder / f"{target}.npz"
    common = ("--limit", 30, "--batch-size", 20, "--json", file, "--outputs", arrays)
    assert asnn("run", run_folder, "--target", target, *common, "--exit-margin", margin, *more) == 0
    figures = json.loads(file.read_text())
    with np.load(arrays) as held:
        return figures, {name: held[name] for name in held.files}


@needs_lava
@pytest.mark.parametrize("pair", [("reference", "lava"), ("reference-fixed", "lava-fixed")])
def test_targets_of_one_arithmetic_exit_alike(run_folder, tmp_path, pair, capsys):
    (one, one_arrays), (other, other_arrays) = (answers(run_folder, tmp_path, target) for target in pair)
    assert f"{one['mean_steps']:.2f} of 3 time steps" in capsys.readouterr().out
    assert one["exit_margin"] == 0.3
    assert one["mean_steps"] == pytest.approx(np.mean(one["steps"]))
    assert 1 < one["mean_steps"] < 3
    for key in ("predictions", "steps", "accuracy", "mean_steps"):
        assert one[key] == other[key]
    assert one_arrays["logits"].tobytes() == other_arrays["logits"].tobytes()
    assert one_arrays["logits"].argmax(axis=1).tolist() == one["predictions"]
    assert one_arrays["steps"].tolist() == one["steps"]


def test_with_a_trace_the_answers_are_the_same_and_spikes_end_at_the_exit(run_folder, tmp_path):
    plain, arrays = answers(run_folder, tmp_path, "reference")
    traced, with_spikes = answers(run_folder, tmp_path, "reference", "--trace")
    assert traced["steps"] == plain["steps"]
    assert with_spikes["logits"].tobytes() == arrays["logits"].tobytes()
    for name in (key for key in with_spikes if key.startswith("spikes/")):
        for sample, ran in enumerate(plain["steps"]):
            assert not with_spikes[name][ran:, sample].any()


def test_the_ends_of_the_margins(run_folder, tmp_path):
    assert set(answers(run_folder, tmp_path, "reference", margin=0)[0]["steps"]) == {1}
    late, _ = answers(run_folder, tmp_path, "reference", margin=1)
    file = tmp_path / "plain.json"
    assert asnn("run", run_folder, "--target", "reference", "--limit", 30, "--json", file) == 0
    plain = json.loads(file.read_text())
    assert set(late["steps"]) == {3}
    assert late["predictions"] == plain["predictions"]
    assert "steps" not in plain


@pytest.mark.parametrize("margin", ["-0.1", "1.5", "nan", "inf"])
def test_margins_outside_0_to_1_are_refused(run_folder, margin, capsys):
    assert asnn("run", run_folder, "--target", "reference", f"--exit-margin={margin}") == 2
    said = capsys.readouterr().err
    assert said == (f"error: --exit-margin {margin}: allowed: 0 (one step) to 1; leave it out to run all time steps\n")


def test_a_target_without_step_logits_is_refused_with_those_that_have_them(run_folder, capsys):
    assert asnn("run", run_folder, "--target", "norse", "--exit-margin", "0.5") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --exit-margin: target 'norse' does not tell its logits of each step; use one of ")
    offered = said.strip().rpartition("use one of ")[2].split(", ")
    assert {"reference", "reference-fixed", "onnxruntime", "nir"} <= set(offered)
    assert not {"norse", "norse-fixed"} & set(offered)
