"""What several commands share: options, data, batches with a progress bar, JSON files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from asnn_deploy.cli.completion import names

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from asnn_deploy.deploy.source import Source
    from asnn_deploy.input.data import Data
    from asnn_deploy.ir.graph import DeployGraph
    from asnn_deploy.util.arrays import Array

F = TypeVar("F", bound=Callable[..., Any])
DOWNLOAD, NOTES = "asnn_deploy.download", "asnn_deploy.notes"
"""What a command's context holds: whether data may be fetched, and what is to be said on stderr in the end."""
DEFAULT_BATCH = 64
CALIBRATION_SAMPLES = 256
"""Training samples on which an integer version's choices are made anew."""

source_argument = click.argument("source", type=click.Path(path_type=Path))
batch_option = click.option("--batch-size", type=click.IntRange(min=1), default=DEFAULT_BATCH, show_default=True)
limit_option = click.option("--limit", type=click.IntRange(min=1), help="Use the first N samples only.")
STDOUT = "asnn_deploy.stdout"
"""Of click's context: what standard output was before `--json -` took it."""


def _alone(context: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    """With `--json -`, standard output is for the figures alone: all else is said on stderr."""
    if file == Path("-"):
        context.meta[STDOUT] = sys.stdout
        context.with_resource(redirect_stdout(sys.stderr))
    return file


json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    callback=_alone,
    help="Write the figures to FILE; to standard output, and nothing else there, if it is -.",
)
download_option = click.option(
    "--download/--no-download",
    default=True,
    expose_value=False,
    callback=lambda context, _option, value: context.meta.update({DOWNLOAD: value}),
    help="Fetch torchvision's data sets where they are absent, or never; default: --download.",
)
split_option = click.option("--split", type=click.Choice(["test", "train"]), default="test", show_default=True)


def data_option(function: F) -> F:
    """Add `--data` and whether it may be fetched to a command that has a SOURCE."""
    option = click.option(
        "--data",
        "data_spec",
        metavar="NAME[:PATH]",
        shell_complete=names("data"),
        help="Data set; default: the network's own.",
    )
    return option(download_option(function))


def load(spec: str | None, sequences: bool = False) -> Data:
    """Load a data set, and note what a user should know of it. sequences: frames may be without labels.

    Raises DataError.
    """
    from asnn_deploy.input.data import load_data, load_sequences

    context = click.get_current_context(silent=True)
    allowed = context is None or context.meta.get(DOWNLOAD, True)
    data = load_sequences(spec, allowed) if sequences and spec is not None else load_data(spec, allowed)
    if data.note:
        note(data.note)
    return data


def note(text: str) -> None:
    """Have a note printed on stderr, once, when the command has ended well: an error is its only line."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta.setdefault(NOTES, {})[text] = None


def say_notes(context: click.Context) -> None:
    """Print the notes."""
    from asnn_deploy.util.text import printable

    for text in context.meta.get(NOTES, ()):
        click.echo(f"note: {printable(text)}", err=True)


def load_samples(source: Source, data_spec: str | None, split: str, limit: int | None) -> tuple[Array, Array, str]:
    """Images `[N,C,H,W]` or frames `[N,T,...]` as the network reads them, labels `[N]` and the data's text; checked."""
    from asnn_deploy.errors import DataError

    images, labels, spec = load_unlabelled(source, data_spec, split, limit)
    if labels is None:
        raise DataError(f"--data {spec}: lacks 'y_{split}', the labels, which this needs")
    return images, labels, spec


def load_unlabelled(
    source: Source, data_spec: str | None, split: str, limit: int | None
) -> tuple[Array, Array | None, str]:
    """The same for data whose labels may not be known; a network that is open to any frames settles on these."""
    import numpy as np

    from asnn_deploy.errors import DataError
    from asnn_deploy.input.choices import inheriting
    from asnn_deploy.ir.preprocessing import prepare

    spec = source.data if data_spec is None else inheriting(data_spec, source.data)
    if spec is None:
        raise DataError(f"{source.path}: remembers no data; give --data NAME[:PATH]")
    data, graph = load(spec, sequences=source.graph.code.kind != "image"), source.graph
    if graph.code.kind == "sequence" and data.kind != "image":
        # What is the largest, and whether only spikes enter, is asked of all data of that length.
        alike = [x for x in data.images.values() if x.shape[1:] == data.images[split].shape[1:]]
        source.settle(np.concatenate(alike))
        graph = source.graph
    check_data(data, graph, split, spec)
    with naming(f"--data {spec}"):
        source.called(data.class_names)
    images, labels = data.images[split][:limit], data.labels[split][:limit] if split in data.labels else None
    return prepare(graph.code.preparation, images).astype(graph.code.dtype, copy=False), labels, spec


def check_data(data: Data, graph: DeployGraph, split: str, spec: str) -> None:
    """Raise DataError naming `--data` unless a network takes a split's samples and answers their labels."""
    from asnn_deploy.errors import DataError

    kind = "image" if graph.code.kind == "image" else "sequence"
    if (data.kind == "image") != (kind == "image"):
        raise DataError(f"--data {spec}: holds {data.kind}s, the network takes {kind}s")
    graph.code.check(data.images[split], graph.input_shape, f"--data {spec}")
    if data.classes > graph.classes:
        raise DataError(f"--data {spec}: has {data.classes} classes, the network answers {graph.classes}")


@contextmanager
def naming(option: str) -> Iterator[None]:
    """Name the option whose value the core refuses meanwhile: its messages name none."""
    from asnn_deploy.errors import InputError

    try:
        yield
    except InputError as error:
        raise type(error)(f"{option}: {error}") from error


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Return the texts `KEY=VALUE` of --set as values by key; they are read as YAML. Raises ConfigError."""
    import yaml

    from asnn_deploy.errors import ConfigError

    changes = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {setting!r}: expected KEY=VALUE, such as training.epochs=3")
        try:
            changes[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {setting!r}: the value is not readable as YAML") from None
    return changes


def batches(count: int, size: int, what: str) -> Iterator[slice]:
    """Slices of `size` over `count` samples, with a progress bar on a terminal."""
    yield from track([slice(i, min(i + size, count)) for i in range(0, count, size)], what)


def track(items: list[Any], what: str) -> Iterator[Any]:
    """A progress bar over items, on a terminal only."""
    with bar() as progress:
        yield from progress.track(items, description=what)


def bar() -> Progress:
    """A progress bar on stderr, on a terminal only; descriptions are shown as they are."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    description = TextColumn("{task.description}", style="progress.description", markup=False)
    columns = (description, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console(stderr=True), transient=True, disable=not on_terminal())


def console(**options: Any) -> Console:
    """The one way to a rich console: what it prints may hold anybody's names, so no text is read as markup (`[red]`) or
    as an emoji (`:fire:`)."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, **options)


def on_terminal() -> bool:
    """Whether somebody watches stderr; it may be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def write_json(path: Path | None, value: Any) -> None:
    """Write plain JSON, whole or not at all; NaN is an error here, not a file. "-" is standard output."""
    from asnn_deploy.util.files import write_text

    if path is None:
        return
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    stdout = click.get_current_context().meta.get(STDOUT) if path == Path("-") else None
    write_text(path, text) if stdout is None else click.echo(text, file=stdout, nl=False)


def show_deployed(summary: Mapping[str, Any]) -> None:
    """Print what snapping changed of a network, and its integer version."""
    snapping = summary["snapping"]
    click.echo(
        f"order-free weights changed {snapping['spikes_changed']} of {snapping['spikes']} spikes "
        f"({percent(snapping['accuracy_as_trained'])} as trained, {percent(snapping['accuracy_snapped'])} as deployed, "
        f"{number(snapping['samples'], 'sample')})"
    )
    if summary["test_accuracy_fixed"] is not None:
        click.echo(
            f"in integers: {percent(summary['test_accuracy_fixed'])}, weights of {summary['quantization']['bits']} bits"
        )
    elif summary["quantization_refused"]:
        click.echo(f"no integer version: {summary['quantization_refused']}")


def number(count: int, what: str) -> str:
    """How many of something there are: "1 epoch", "2 epochs"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def percent(share: float | None) -> str:
    """A share as text; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.2f} %"
