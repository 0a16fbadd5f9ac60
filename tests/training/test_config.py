import subprocess
import sys
from functools import reduce

import pytest
import yaml

from asnn_deploy.cli.common import parse_settings
from asnn_deploy.errors import ConfigError
from asnn_deploy.training.config import (
    all_keys,
    make_config,
    merge,
    read_config,
    unread,
    write_config,
)
from asnn_deploy.training.presets import PRESETS, preset
from asnn_deploy.training.sections import CHOICES


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_survive_yaml(name):
    config = make_config(preset(name), name)
    assert make_config(yaml.safe_load(write_config(config)), "again") == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"codng": "latency"}, "file.yaml: unknown key 'codng'; did you mean 'coding'"),
        ({"training": {"epoch": 3}}, "unknown key 'training.epoch'; did you mean 'training.epochs'"),
        ({"training": {"epochs": 0}}, "training.epochs = 0: input should be greater than or equal to 1"),
        ({"training": {"epochs": "many"}}, "training.epochs = 'many': input should be a valid integer"),
        ({"time_steps": 0}, "time_steps = 0"),
        (
            {"model": {"neuron": "izhikevich"}},
            "model.neuron = 'izhikevich': unknown neuron model 'izhikevich' (allowed: asnn,",
        ),
        ({"model": {"neuron": "cuba-lfi"}}, "unknown neuron model 'cuba-lfi'; did you mean 'cuba-lif'"),
        ({"model": {"neuron": "loihi-lif"}}, "'loihi-lif' has no definition in floating point (its method `step`)"),
        ({"model": {"name": "lenett"}}, "file.yaml: unknown model 'lenett'; did you mean 'lenet'"),
        ({"loss": {"name": "tett"}}, "file.yaml: unknown loss 'tett'; did you mean 'tet'"),
        ({"model": {"widthss": [4]}}, "unknown key 'model.widthss'; did you mean 'model.widths'"),
        (
            {"model": {"learned": ["laek"]}},
            "model.learned = ['laek']: unknown parameter of neuron 'asnn' 'laek'; did you mean 'leak'",
        ),
        ({"loss": {"step_weights": [1]}}, "file.yaml: loss.step_weights: belongs to loss.name = tet; choose that, or"),
        ({"model": 3}, "model = 3"),
    ],
)
def test_bad_values_name_the_key(values, message):
    with pytest.raises(ConfigError) as caught:
        make_config(values, "file.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings():
    changes = parse_settings(["training.epochs=3", "model.input_shape=null", "model.widths=[4, 8]"])
    config = make_config(merge(preset("digits-lenet"), changes), "x")
    assert (config.training.epochs, config.model.input_shape, config.model.widths) == (3, None, [4, 8])
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        parse_settings(["training.epochs"])
    with pytest.raises(ConfigError, match="not readable as YAML"):
        parse_settings(["training.epochs=[1"])
    with pytest.raises(ConfigError, match="did you mean 'training.epochs'"):
        merge({}, {"trainig.epochs": 3})


def test_keys_of_what_is_not_chosen_say_nothing():
    changes = {
        "model.heads": 2,
        "model.name": "spikformer",
        "loss.spread": 0.2,
        "loss.name": "tet",
        "model.stem": "cifar",
    }
    config = make_config(merge(preset("digits-lenet"), changes), "x")
    assert (config.model.heads, config.model.widths, config.loss.spread) == (2, [24, 48, 64], 0.2)
    assert unread(config, changes) == ["model.stem"]
    assert "stem" not in config.model.model_dump()
    other = make_config(merge(preset("digits-lenet"), {"model.name": "sew-resnet", "model.hidden": 3}), "x")
    assert unread(other, ["model.hidden", "model.name", "training.epochs", "coding"]) == ["model.hidden"]


def test_runs_of_earlier_versions_are_read(tmp_path):
    """They hold the keys of all networks and losses."""
    values = yaml.safe_load(write_config(make_config(preset("digits-lenet"), "x")))
    old = values | {
        "model": values["model"] | {"depth": 2, "stem": "cifar", "heads": 8, "patch": 4},
        "loss": values["loss"] | {"spread": 0.05, "step_weights": None},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(old))
    assert make_config(read_config(tmp_path / "config.yaml"), "x") == make_config(values, "x")


def test_what_is_learned_by_default_is_what_the_neuron_needs():
    assert make_config({}, "x").model.learned == ["leak", "gain", "readout"]
    assert make_config({"model": {"neuron": "cuba-lif"}}, "x").model.learned[0] == "current_leak"


def test_a_configuration_is_read_without_torch():
    code = (
        "import sys; from asnn_deploy.training.config import make_config, merge; from asnn_deploy.training.presets "
        "import PRESETS; [make_config(merge(p, {'model.neuron': 'if'}), n) for n, p in PRESETS.items()]; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def of_any_choice():
    """A configuration with each network and each loss, by their names."""
    for section, choice in CHOICES.items():
        for name in choice.parts:
            yield f"{section}.name = {name}", make_config({section: {"name": name}}, "x")


@pytest.mark.parametrize("config", dict(of_any_choice()).values(), ids=dict(of_any_choice()))
def test_every_key_can_be_set(config):
    plain = config.model_dump(mode="json")
    keys = [key for key in all_keys() if not unread(config, [key])]
    for key in keys:
        value = reduce(lambda place, part: place[part], key.split("."), plain)
        assert make_config(merge(plain, {key: value}), "x") == config
    assert len(keys) < len(all_keys())


def test_bad_files(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        read_config(tmp_path / "absent.yaml")
    for text in ("a: [1", "- just\n- a list", "3", ""):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"c\.yaml"):
            read_config(tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not readable as YAML"):
        read_config(tmp_path / "c.yaml")


def test_unknown_preset():
    with pytest.raises(ConfigError, match="unknown preset 'digit-lenet'; did you mean 'digits-lenet'"):
        preset("digit-lenet")
