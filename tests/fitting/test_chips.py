"""Chip files: sources, and what is refused."""

import re

import pytest

from asnn_deploy.errors import ConfigError, InputError
from asnn_deploy.fitting import chip_names, load_chip
from asnn_deploy.fitting.chip import FOLDER, sourced

GENERIC = (FOLDER / "generic.toml").read_text()
CORES = '[limits.cores]\nvalue = 64                               # of one chip\nunit = "cores"\nunverified = "an example"\n'
BITS = "[limits.weight_bits]\nmin = 1\nmax = 8 "


@pytest.fixture
def refused(tmp_path):
    def call(old, new, text=GENERIC):
        assert old in text
        path = tmp_path / "mine.toml"
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ConfigError) as caught:
            load_chip(path)
        message = str(caught.value)
        assert message.startswith(f"chip {path}: ")
        assert "\n" not in message
        return message.removeprefix(f"chip {path}: ")

    return call


def test_the_folder_is_the_registry():
    assert chip_names() == ("generic", "loihi1", "loihi2")
    assert [load_chip(name).name for name in chip_names()] == list(chip_names())


@pytest.mark.parametrize("name", chip_names())
def test_everything_said_has_a_source_or_the_mark_that_there_is_none(name):
    said = dict(sourced(load_chip(name)))
    assert {"limits.cores", "storage.state"} <= said.keys()
    assert all(bool(entry.source) != bool(entry.unverified) for entry in said.values())


def test_published_limits_of_loihi_1():
    limits = load_chip("loihi1").limits
    found = {key: getattr(limits, key).value for key in ("cores", "neurons", "axons_in", "axons_out", "delay")}
    assert found == {"cores": 128, "neurons": 1024, "axons_in": 4096, "axons_out": 4096, "delay": 62}
    assert limits.synapse_memory.value == 16_384 * 64 // 8 == 128 * 1024
    assert load_chip("loihi1").unverified() == []
    assert {s.name: s.chips for s in load_chip("loihi1").systems}["Pohoiki Springs"] == 768


def test_a_copy_of_generic_is_a_chip_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GENERIC.replace("value = 64  ", "value = 5  ", 1))
    chip = load_chip(path)
    assert (chip.name, chip.limits.cores.value) == ("mine", 5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value = 64  ", "value = 0  ", "limits.cores.value = 0: input should be greater than or equal to 1"),
        ("value = 64  ", "value = -3 ", "limits.cores.value = -3: input should be greater than or equal to 1"),
        ("value = 64  ", "value = 6.5", "limits.cores.value = 6.5: input should be a valid integer"),
        ("value = 64  ", "value = true", "limits.cores.value = True: input should be a valid integer"),
        ("value = 64  ", 'value = "64"', "limits.cores.value = '64': input should be a valid integer"),
        ('unit = "cores"', 'unit = "chips"', "limits.cores.unit = 'chips': input should be 'cores'"),
        (BITS, BITS.replace("min = 1", "min = 9"), "limits.weight_bits: min <= max must hold, found 9, 8"),
        ("[limits.neurons]", "[limits.neuron]", "limits.neuron: unknown key 'neuron'; did you mean 'neurons'?"),
        ("value = 64  ", "values = 64 ", "limits.cores.values: unknown key 'values'; did you mean 'value'?"),
        (
            CORES,
            CORES.replace('unverified = "an example"\n', ""),
            "limits.cores: needs either 'source' or 'unverified'",
        ),
        (CORES, CORES + 'source = "x"\n', "limits.cores: needs either 'source' or 'unverified'"),
        (CORES, "", "limits.cores: is missing"),
        (
            'sharing = "lists"',
            'sharing = "some"',
            "storage.sharing = 'some': input should be 'kernels', 'lists' or 'none'",
        ),
        (
            "weight_widths = [2, 4, 8]",
            "weight_widths = [4, 2]",
            "storage.lists: weight_widths must ascend, found [4, 2]",
        ),
        ("resets = [", 'resets = ["never", ', "resets.0 = 'never': must be one of subtract, zero, delayed-subtract"),
        ("title =", 'name = "x"\ntitle =', "key 'name' is not allowed; the name is that of the file"),
        ("title =", "title", "is not TOML"),
    ],
)
def test_impossible_files_are_refused_in_one_line(refused, old, new, message):
    assert message in refused(old, new)


def test_lists_must_be_described_where_they_are_used(refused):
    lists = GENERIC[GENERIC.index("[storage.lists]") : GENERIC.index("[storage.population_axons]")]
    assert refused(lists, "") == "storage: sharing 'lists' needs the table 'lists'"


def test_an_unknown_name_gets_the_nearest_one(tmp_path):
    with pytest.raises(InputError, match=r"unknown chip 'lohi2'; did you mean 'loihi2'\? \(allowed: generic, loihi1"):
        load_chip("lohi2")
    with pytest.raises(InputError, match=re.escape("absent.toml: cannot be read: No such file")):
        load_chip(tmp_path / "absent.toml")
