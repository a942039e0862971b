"""Every command of ``train`` under its name, and the run of the one that was asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import typer
from typer.main import get_command

from training_service import __version__
from training_service.cli import streams
from training_service.cli.frame import Frame
from training_service.cli.lazy import LazyGroup
from training_service.domain.masking import learn_secrets


class _Train(LazyGroup):
    """What ``train`` can do."""

    places: ClassVar[Mapping[str, str]] = {
        "smoke-test": "modes:smoke_test",
        "build-index": "modes:build_index",
        "build-index-feedback": "modes:build_index_feedback",
        "full-train": "modes:full_train",
        "plan": "plan:plan",
        "match": "match:match",
        "explain": "explain:explain",
        "report": "report:report",
        "errors": "errors:errors",
        "review-queue": "review_queue:review_queue",
        "reload": "reload:reload",
        "history": "history:history",
        "config": "config:config",
        "versions": "versions:app",
        "cases": "cases:app",
        "feedback": "feedback:app",
        "cache": "cache:app",
    }


app = typer.Typer(
    name="train",
    cls=_Train,
    help="Keep a semantic matcher right: retrain it from feedback, promote what is no worse.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs 0.2 s and reads [env var: ...] as markup
)


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


def run(given: Sequence[str]) -> int:
    """Run the command that ``given`` asks for; its exit code, or SystemExit with it."""
    streams.make_streams_safe()
    learn_secrets(os.environ)  # noqa: TID251 - to know what never to show, not to read settings
    with frame_of(given).guard():
        code = get_command(app).main(args=list(given), prog_name="train", standalone_mode=False)
    return code if isinstance(code, int) else 0


def frame_of(given: Sequence[str]) -> Frame:
    """How failures are told before the arguments are understood."""
    return Frame(as_json="--json" in given, debug="--debug" in given)
