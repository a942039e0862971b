"""The names of a group's commands become commands, each imported when somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from typer.core import TyperCommand

    Command = TyperCommand | TyperGroup


class LazyGroup(TyperGroup):
    """A group that knows its commands by ``places``, in the order in which help lists them.

    A place is ``module:name`` within the package of the commands: a function, or the app of a
    group. Importing every command takes longer than most of them run.
    """

    places: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - typer's own arguments, passed on
        super().__init__(**given)
        # typer only reads it: names for suggestions, commands for help and for the run
        self.commands = cast("MutableMapping[str, Any]", _Commands(self.places))


class _Commands(Mapping[str, "Command"]):
    """The commands at ``places``."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Command:
        return _command(name, self._places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@cache
def _command(name: str, place: str) -> Command:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(f"{__package__}.{module}"), attribute)
    if isinstance(found, typer.Typer):
        app = found
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name)(found)
    made = cast("Command", get_command(app))
    made.name = name
    return made
