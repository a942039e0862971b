"""The arguments of ``train`` become one command's run, and its exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from training_service import __version__
from training_service.cli import config, match, modes, streams, versions
from training_service.cli.frame import Frame
from training_service.cli.signals import stop_signals

app = typer.Typer(
    name="train",
    help="Keep a semantic matcher right: retrain it from feedback, promote what is no worse.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs 0.2 s and reads [env var: ...] as markup
)
app.command("smoke-test")(modes.smoke_test)
app.command("build-index")(modes.build_index)
app.command("build-index-feedback")(modes.build_index_feedback)
app.command("full-train")(modes.full_train)
app.command("match")(match.match)
app.add_typer(versions.app, name="versions")
app.command("config")(config.config)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"train {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``train`` with ``arguments``, by default those of the process, and return its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    streams.make_streams_safe()
    frame = Frame(as_json="--json" in given, debug="--debug" in given)
    with frame.guard(), stop_signals():
        code = get_command(app).main(args=given, prog_name="train", standalone_mode=False)
    return code if isinstance(code, int) else 0
