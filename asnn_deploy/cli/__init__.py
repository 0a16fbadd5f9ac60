"""The command line. One file for each command; each imports what it needs only when it runs."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from types import FrameType

import click

from asnn_deploy.cli.common import noting, say_notes
from asnn_deploy.cli.progress import shown_progress
from asnn_deploy.errors import AsnnDeployError
from asnn_deploy.util.suggest import unknown_name
from asnn_deploy.util.text import printable
from asnn_deploy.util.version import __version__

COMMANDS = (
    *("quickstart", "train", "import", "export", "run", "verify", "quantize"),
    *("sweep", "report", "compare", "fit", "inspect", "match", "list"),
)
INTERRUPTED = 130
COMPLETE = "_ASNN_DEPLOY_COMPLETE"
"""Set by a shell that asks click for completions (click's name for it, from the program's)."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called or asked for help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's file."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"asnn_deploy.cli.{cmd_name}_command").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; a command that there is not is answered with the nearest one."""
        if args[0] in COMMANDS or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        if args[0] == "help":
            raise click.UsageError(
                "'help' is not a command; asnn-deploy --help shows them, asnn-deploy COMMAND --help one"
            )
        raise click.UsageError(unknown_name("command", args[0], COMMANDS))


@click.group(
    cls=LazyGroup,
    epilog="Example: asnn-deploy train --preset digits-lenet --out run && asnn-deploy verify run",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="asnn-deploy")
def cli() -> None:
    """Carry adaptive spiking networks with hybrid-coded input to neuromorphic targets, exactly.

    SOURCE is a run folder made by `train` or `import`, a bundle made by `export`, or a .nir file.
    """


@cli.result_callback()
@click.pass_context
def ended(context: click.Context, result: object) -> object:
    """A command has ended without an error."""
    say_notes(context)
    return result


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the contract's codes: 0, 1, 2, 3 or 130."""
    # Threads that wait for each other are to sleep, not spin: if something else runs on the machine, spinning makes
    # torch several times slower. Read when torch is loaded, which no command has done yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in ("SIGTERM", "SIGHUP"):  # whoever ends us politely gets what Ctrl-C gets: nothing half-written stays
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP on purpose
            signal.signal(number, interrupt)
    sys.exit(run(arguments, shown_progress))


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Signal handler: unwind as after Ctrl-C."""
    raise KeyboardInterrupt


def run(arguments: list[str] | None = None, showing: Callable[[], AbstractContextManager[None]] = nullcontext) -> int:
    """Run the command line, in silence or showing progress; returns the exit code. Errors are one line on stderr,
    beginning "error: "."""
    try:
        with noting(), showing():  # it has ended when an error is told
            result = cli.main(arguments, prog_name="asnn-deploy", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        return fail("interrupted", INTERRUPTED)
    except SystemExit as stop:
        if os.environ.get(COMPLETE) and isinstance(stop.code, int):  # click has answered the shell
            return stop.code
        if isinstance(stop.code, int) and stop.code > 1:  # one of several processes; the first one says what it was
            return stop.code
        return fail("standard output was closed before all was written", 3)  # click's way of saying so
    except click.exceptions.NoArgsIsHelpError as shown:
        click.echo(shown.ctx.get_help())
        return 0
    except click.ClickException as error:
        return fail(error.format_message(), 2)
    except AsnnDeployError as error:
        return fail(str(error), error.exit_code)
    except Exception as error:
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "alloc_cpu" in str(error)):  # torch's
            return fail("this machine's memory is not enough; take fewer or smaller samples, or a smaller network", 3)
        if os.environ.get("ASNN_DEPLOY_TRACEBACK"):
            traceback.print_exc()
        if isinstance(error, OSError) and error.filename is not None:
            return fail(f"{error.filename}: {error.strerror}; look at the path and who may use it", 2)
        return fail(
            f"internal: {type(error).__name__}: {error}; this is a bug, please report it "
            "(ASNN_DEPLOY_TRACEBACK=1 shows where)",
            3,
        )


def fail(message: str, code: int) -> int:
    """Print an error on one line and return its exit code."""
    click.echo("error: " + printable(" ".join(message.split())), err=True)
    return code
