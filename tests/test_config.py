import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from asnn_deploy.errors import ConfigError
from asnn_deploy.training.config import (
    RunConfig,
    all_keys,
    make_config,
    merge,
    parse_settings,
    read_config,
    write_config,
)
from asnn_deploy.training.presets import PRESETS, preset


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
        ({"model": {"neuron": "izhikevich"}}, "model.neuron = 'izhikevich': input should be 'asnn' or 'lif'"),
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


@given(st.sampled_from(all_keys()))
def test_every_key_can_be_set(key):
    value = RunConfig().model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    assert make_config(merge({}, {key: value}), "x") == RunConfig()


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
