"""What several commands share: options, data, what is printed, JSON files."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from asnn_deploy.cli.completion import names

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from asnn_deploy.deploy.source import Source
    from asnn_deploy.input.data import Data

F = TypeVar("F", bound=Callable[..., Any])
DOWNLOAD, NOTES = "asnn_deploy.download", "asnn_deploy.notes"
"""What a command's context holds: whether data may be fetched, and what is to be said on stderr in the end."""
PLACES = "asnn_deploy.places"
"""Of click's context: the options that name places to write to, by the place."""
DEFAULT_BATCH = 64


class Output(click.Path):
    """A place to write to, looked at before anything is loaded or computed."""

    def __init__(self, folder: bool = True, standard: bool = False):
        """folder: whether the place may be a folder that is there. standard: "-" is standard output."""
        super().__init__(path_type=Path)
        self.folder, self.standard = folder, standard

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """As click's. Raises InputError if nothing can be written there."""
        from asnn_deploy.util.files import check_place

        if value == "-" and self.standard:
            return Path(value)
        if value in ("", "-"):
            self.fail(f"{value!r} is not a name for what is written.", param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        check_place(path, self.folder)
        places = {} if ctx is None else ctx.meta.setdefault(PLACES, {})
        if places.setdefault(path.absolute(), param) is not param:
            self.fail(f"{str(path)!r} is where another option writes to.", param, ctx)
        return path


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
    type=Output(folder=False, standard=True),
    metavar="FILE",
    callback=_alone,
    help="Write the figures to FILE; to standard output, and nothing else there, if it is -.",
)
download_option = click.option(
    "--download/--no-download",
    default=False,
    expose_value=False,
    callback=lambda context, _option, value: context.meta.update({DOWNLOAD: value}),
    help="Download a data set of torchvision that is not in its folder; default: --no-download.",
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


def load(spec: str | None) -> Data:
    """Load a data set, and note what a user should know of it. Raises DataError."""
    from asnn_deploy.input.data import load_data

    return fetched(lambda allowed: load_data(spec, allowed))


def fetched(read: Callable[[bool], Data]) -> Data:
    """Have data read, told whether they may be downloaded; what a user should know of them is noted."""
    from asnn_deploy.errors import DataError
    from asnn_deploy.input.torchvision_folders import ALLOW

    context = click.get_current_context(silent=True)
    try:
        data = read(context is not None and bool(context.meta.get(DOWNLOAD)))
    except DataError as error:
        raise DataError(str(error).replace(ALLOW, "download it with --download")) from error
    if data.note:
        note(data.note)
    return data


def note(text: str) -> None:
    """Have a note printed on stderr, once, when the command has ended well: an error is its only line."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta.setdefault(NOTES, {})[text] = None


@contextmanager
def noting() -> Iterator[None]:
    """Make notes of what the core says by DeployNotes; other warnings stay what they are."""
    from asnn_deploy.errors import DeployNote

    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, DeployNote):
                note(str(message))
            else:
                shown(message, category, *rest, **more)

        warnings.simplefilter("always", DeployNote)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def say_notes(context: click.Context) -> None:
    """Print the notes."""
    from asnn_deploy.util.text import printable

    for text in context.meta.get(NOTES, ()):
        click.echo(f"note: {printable(text)}", err=True)


def data_for(source: Source, spec: str | None) -> Data:
    """Load the data that a command was given for a network, or the network's own. Raises DataError."""
    from asnn_deploy.api.network import load_for, spec_of
    from asnn_deploy.errors import DataError

    if spec is None and source.data is None:
        raise DataError(f"{source.path}: remembers no data; give --data NAME[:PATH]")
    text = spec_of(source, spec)
    return fetched(lambda allowed: load_for(source, text, allowed))


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
    from asnn_deploy.input.choices import KEY

    changes = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {setting!r}: expected KEY=VALUE, such as training.epochs=3")
        try:
            changes[key.strip()] = text if key.strip().startswith(KEY) else yaml.safe_load(text)  # 0x8 is a size there
        except yaml.YAMLError:
            raise ConfigError(f"--set {setting!r}: the value is not readable as YAML") from None
    return changes


def bars(file: TextIO) -> Progress:
    """Bars on a terminal, drawn when asked to; descriptions are shown as they are, and stdout is left alone."""
    from rich.progress import BarColumn, Progress, TextColumn

    description = TextColumn("{task.description}", style="progress.description", markup=False)
    columns = (description, BarColumn(), TextColumn("{task.fields[left]}", markup=False))
    return Progress(*columns, console=console(file=file), transient=True, auto_refresh=False, redirect_stdout=False)


def console(**options: Any) -> Console:
    """The one way to a rich console: what it prints may hold anybody's names, so no text is read as markup (`[red]`) or
    as an emoji (`:fire:`)."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, **options)


def write_json(path: Path | None, value: Any) -> None:
    """Write plain JSON, whole or not at all; NaN is an error here, not a file. "-" is standard output."""
    from asnn_deploy.util.files import write_text

    if path is None:
        return
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    stdout = click.get_current_context().meta.get(STDOUT) if path == Path("-") else None
    write_text(path, text) if stdout is None else click.echo(text, file=stdout, nl=False)


def say(text: str = "") -> None:
    """Print a text, whose lines end between words on a terminal; elsewhere it is one line."""
    from asnn_deploy.cli.tables import terminal_width, wrapped

    click.echo("\n".join(wrapped(text, terminal_width())))


def show_deployed(summary: Mapping[str, Any]) -> None:
    """Print what snapping changed of a network, and its integer version."""
    snapping = summary["snapping"]
    moved = snapping["accuracy_snapped"] - snapping["accuracy_as_trained"]
    say(
        f"order-free weights changed {snapping['spikes_changed']} of {snapping['spikes']} spikes and the accuracy by "
        f"{100 * moved:+.2f} points, from {percent(snapping['accuracy_as_trained'])} as trained "
        f"({number(snapping['samples'], 'sample')})"
    )
    if summary["test_accuracy_fixed"] is not None:
        say(
            f"in integers: {percent(summary['test_accuracy_fixed'])}, weights of {summary['quantization']['bits']} bits"
        )
    elif summary["quantization_refused"]:
        say(f"no integer version: {summary['quantization_refused']}")


def number(count: int, what: str) -> str:
    """How many of something there are: "1 epoch", "2 epochs"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def percent(share: float | None) -> str:
    """A share as text; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.2f} %"
