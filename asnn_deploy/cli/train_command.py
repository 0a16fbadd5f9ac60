"""`asnn-deploy train`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from asnn_deploy.cli.common import Output, download_option, json_option, say
from asnn_deploy.cli.completion import names

OPTIONS = {
    "data_spec": "data",
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "time_steps": "time_steps",
    "coding": "coding",
    "neuron": "model.neuron",
    "device": "training.device",
    "devices": "training.devices",
    "precision": "training.precision",
    "train_limit": "training.limit",
    "seed": "training.seed",
    "teacher": "loss.teacher",
}
"""Which configuration key each option sets."""
FLAGS = {key: f"--{name.removesuffix('_spec').replace('_', '-')}" for name, key in OPTIONS.items()}
SETTING = re.compile(rf"\b({'|'.join(re.escape(key) for key in FLAGS if '.' in key)})\b( ?= ?)?")
"""A key that has an option, in a message of the core, and its equals sign; keys without a dot are words, too."""
REMEDY = re.compile(r"\bset ([a-z_]+\.[a-z_]+) ?= ?([\w.]+)")
"""Advice of the core to set a key, which on the command line is `--set KEY=VALUE`."""


@click.command(epilog="Example: asnn-deploy train --preset digits-lenet --epochs 3 --out run")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option(
    "--preset",
    "preset_name",
    shell_complete=names("preset"),
    metavar="NAME",
    help="Start from a preset; see 'asnn-deploy list'.",
)
@click.option("--out", required=True, type=Output(), help="Folder for the run.")
@click.option(
    "--data",
    "data_spec",
    shell_complete=names("data"),
    metavar="NAME[:PATH]",
    help="Data set, such as digits or folder:DIR.",
)
@download_option
@click.option("--epochs", type=int)
@click.option("--batch-size", type=int)
@click.option("--time-steps", type=int, help="Number of time steps T.")
@click.option("--coding", shell_complete=names("coding"), metavar="NAME", help="Input coding; see 'asnn-deploy list'.")
@click.option(
    "--neuron",
    shell_complete=names("neuron"),
    metavar="NAME",
    help="asnn (adaptive), lif (plain), or another of 'asnn-deploy list'.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--devices", type=int, help="Devices that share each batch.")
@click.option("--precision", type=click.Choice(["32", "bf16", "64"]))
@click.option("--train-limit", type=int, help="Train on N samples, the same share of each class.")
@click.option("--seed", type=int)
@click.option("--teacher", metavar="RUN|FILE.onnx", help="Learn a trained network's answers too.")
@click.option("--start", type=click.Path(path_type=Path), metavar="RUN", help="Start from a trained run's weights.")
@click.option("--resume", is_flag=True, help="Continue the run in --out from its last checkpoint.")
@click.option(
    "--set",
    "settings",
    shell_complete=names("key"),
    multiple=True,
    metavar="KEY=VALUE",
    help="Set any configuration key, such as model.hidden=64, or a choice of the data, such as data.size=28x28.",
)
@json_option
def command(
    config: Path | None,
    preset_name: str | None,
    out: Path,
    start: Path | None,
    resume: bool,
    settings: tuple[str, ...],
    json_file: Path | None,
    **options: Any,
) -> None:
    """Train a network from a preset or a CONFIG.yaml.

    --start RUN starts from that run's configuration and weights; --set quantization.bits=4 trains integer weights.
    """
    from asnn_deploy.api.training import check_folder
    from asnn_deploy.cli.common import load, number, percent, show_deployed, write_json
    from asnn_deploy.errors import ConfigError

    if start is not None and resume:
        raise ConfigError("--start RUN begins a new run, --resume continues one; give one of them")
    origin = out if resume else start
    check_folder(out, resume)
    settled = configuration(config, preset_name, origin, settings, options)
    data = load(settled.data)  # what is not there is said before torch is loaded
    from asnn_deploy.api.training import train

    with options_named():
        summary = train(settled, out, data=data, start=start, resume=resume).summary
    if not summary:  # one of several processes: the first one reports
        click.get_current_context().meta.clear()
        return
    say(
        f"{out}: {percent(summary['test_accuracy'])} test accuracy as deployed, {number(summary['epochs'], 'epoch')}, "
        f"{summary['parameters']} parameters, trained at {summary['samples_per_second']:.0f} images/s"
    )
    show_deployed(summary)
    write_json(json_file, summary)


def configuration(
    file: Path | None,
    preset_name: str | None,
    origin: Path | None,
    settings: tuple[str, ...],
    options: dict[str, Any],
) -> Any:
    """The configuration: a file, a preset, or that of the run to start from; then options, then --set."""
    from asnn_deploy.cli.common import naming, parse_settings
    from asnn_deploy.errors import ConfigError
    from asnn_deploy.input.coding import input_code
    from asnn_deploy.training.config import make_config, merge, read_config, unread
    from asnn_deploy.training.presets import preset

    if file is not None and preset_name is not None:
        raise ConfigError("give a CONFIG.yaml or --preset, not both")
    if file is not None:
        values, where = read_config(file), str(file)
    elif preset_name is not None:
        values, where = preset(preset_name), f"preset {preset_name}"
    elif origin is not None and (origin / "config.yaml").is_file():
        values, where = read_config(origin / "config.yaml"), str(origin / "config.yaml")
    else:
        raise ConfigError("give a CONFIG.yaml or --preset NAME; 'asnn-deploy list' shows the presets")
    make_config(values, where)
    given = {OPTIONS[key]: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        least = 0 if key == "training.seed" else 1
        if isinstance(value, int) and value < least:
            raise ConfigError(f"{FLAGS[key]} {value}: must be at least {least}")
    changes = given | parse_settings(settings)
    with naming("--set"):
        changed = merge(values, changes)
    with options_named():
        config = make_config(changed, "the command line")
    for key in unread(config, changes):
        section = key.split(".")[0]
        click.echo(f"note: {key} has no effect on {section}.name = {getattr(config, section).name}", err=True)
    input_code(config.coding, config.time_steps)
    return config


@contextmanager
def options_named() -> Iterator[None]:
    """Name options instead of keys in what the core refuses: `--devices 2` for `training.devices = 2`."""
    from asnn_deploy.errors import AsnnDeployError

    try:
        yield
    except AsnnDeployError as error:
        text = SETTING.sub(lambda found: FLAGS[found[1]] + (" " if found[2] else ""), str(error))
        raise type(error)(REMEDY.sub(r"--set \1=\2", text)) from error
