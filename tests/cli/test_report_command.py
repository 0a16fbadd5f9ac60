"""`report`: the sample, the verification and the chips that it is told to show."""

import json
import re

import pytest

from asnn_deploy.cli import run

GOOD = {
    "samples": 2,
    "time_steps": 3,
    "targets": {
        "lava": {
            "against": "reference",
            "exact": True,
            "logits_equal": True,
            "spikes_compared": 9,
            "spike_mismatches": 0,
            "argmax_mismatches": 0,
            "max_abs_logit_diff": 0.0,
            "accuracy": None,
            "first_divergence": None,
            "rounding": None,
            "layers": [{"name": "conv1", "per_step_mismatches": [0, 0, 0], "per_step_spikes": [1, 2, 3]}],
        }
    },
}


def counted(counts):
    return {"name": "conv1", "per_step_mismatches": counts, "per_step_spikes": counts}


def changed(key, value):
    return json.dumps({**GOOD, "targets": {"lava": {**GOOD["targets"]["lava"], key: value}}})


def test_everything_that_is_asked_for_is_on_the_page(run_folder, tmp_path):
    verify = tmp_path / "v.json"
    verify.write_text(json.dumps(GOOD))
    arguments = ["--limit", "20", "--sample", "3", "--chip", "loihi2", "--verify", str(verify)]
    assert run(["report", str(run_folder), "--out", str(tmp_path / "r"), *arguments]) == 0
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    page = (tmp_path / "r" / "report.html").read_text()
    assert list(report["fit"]) == ["loihi2"]
    assert report["verify"] == GOOD
    assert report["quantization"]["bits"] == 8
    assert "Sample 3 of this run" in page
    assert page.count("data:image/png;base64,") == 2 + 2 * len([x for x in report["layers"] if x["neurons"]])
    assert len(page.encode()) < 1_000_000


def test_how_fast_each_chip_is_stands_in_the_report_and_is_said(run_folder, tmp_path, capsys):
    out = tmp_path / "r"
    assert run(["report", str(run_folder), "--out", str(out), "--limit", "4"]) == 0
    said = capsys.readouterr().out.splitlines()
    report = json.loads((out / "report.json").read_text())
    found = report["latency"]["loihi1"]
    seconds = found["seconds"]
    assert 0 < seconds["low"] <= seconds["mid"] <= seconds["high"]
    assert len(found["by_step"]) == report["time_steps"] + found["pipeline_steps"]
    assert found["binds"].keys() == {"part", "share", "layer"}
    assert found["samples"] == 4
    assert seconds["mid"] > report["profiles"]["loihi1-davies-2018"]["latency_seconds"]
    assert report["latency"]["loihi2"] is None
    assert re.fullmatch(
        r"loihi1: [\d.]+ µs per sample \(.* µs\), estimated from the times in the chip's file\.", said[-2]
    )
    assert said[-1] == report["no_latency"]["loihi2"]
    assert said[-1].startswith("Loihi 2 (")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid JSON"),
        ("[1]", "the file = [1]: input should be an object"),
        ("{}", "samples: is missing"),
        ('{"samples": 1, "time_steps": 3, "targets": []}', "targets = []: input should be an object"),
        (changed("exact", "yes"), "targets.lava.exact = 'yes': input should be a valid boolean"),
        (changed("spike_mismatches", -1), "lava.spike_mismatches = -1: input should be greater than or equal to 0"),
        (changed("spike_mismatches", 1e308), "lava.spike_mismatches = 1e+308: input should be a valid integer"),
        (changed("max_abs_logit_diff", 1e308), "lava.max_abs_logit_diff = 1e+308: input should be less than"),
        (changed("max_abs_logit_diff", float("nan")), "max_abs_logit_diff = nan: input should be a finite number"),
        (changed("accuracy", 1e308), "lava.accuracy = 1e+308: input should be less than or equal to 1"),
        (changed("against", "\ud800"), "invalid JSON"),
        (changed("layers", [counted([0])]), "1 counts, expected 3, one for every time step"),
        (changed("layers", [{"name": "conv1", "per_step_mismatches": [0]}]), "layers.0.per_step_spikes: is missing"),
        (changed("first_divergence", {"layer": "conv1"}), "lava.first_divergence.step: is missing"),
    ],
)
def test_a_file_that_verify_did_not_write_is_refused(run_folder, tmp_path, capsys, text, message):
    verify = tmp_path / "v.json"
    verify.write_text(text)
    out = tmp_path / "r"
    assert run(["report", str(run_folder), "--out", str(out), "--limit", "2", "--verify", str(verify)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {verify}: not a verification as JSON (")
    assert message in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--verify", "absent.json"], "absent.json: cannot be read"),
        (["--sample", "2"], "sample 2: there are 2 samples, numbered 0 to 1"),
        (["--sample", "-1"], "--sample"),
        (["--chip", "loihi3"], "loihi3"),
    ],
)
def test_what_is_not_there_is_refused(run_folder, tmp_path, capsys, arguments, message):
    out = tmp_path / "r"
    assert run(["report", str(run_folder), "--out", str(out), "--limit", "2", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not out.exists()
