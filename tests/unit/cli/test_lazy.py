"""A group of commands that imports none before it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from training_service.cli import cache, commands, versions
from training_service.cli.lazy import LazyGroup

ROOT = Path(__file__).parents[3]

GROUPS = {"versions", "cases", "feedback", "cache"}


@pytest.mark.parametrize("app", [commands.app, versions.app], ids=["train", "versions"])
def test_every_place_holds_the_command_of_its_name(app: typer.Typer) -> None:
    """Each name of a group leads to a command of that name which says what it does."""
    group = get_command(app)
    assert isinstance(group, LazyGroup)
    assert list(group.commands) == list(group.places)
    for name, command in group.commands.items():
        assert command.name == name
        assert command.help
        assert isinstance(command, TyperGroup) == (name in GROUPS)


def test_a_group_of_another_kind_keeps_its_own_commands() -> None:
    """A place that holds a plain app gives that app's group, without flags of typer's own."""
    group = get_command(commands.app)
    assert isinstance(group, LazyGroup)
    found = group.commands["cache"]
    assert isinstance(found, TyperGroup)
    assert list(found.commands) == [each.name for each in cache.app.registered_commands]
    assert found.params == []


def test_a_name_without_a_place_is_no_command() -> None:
    """What is not in the table is neither there nor imported."""
    group = get_command(commands.app)
    assert isinstance(group, LazyGroup)
    assert "lazy" not in group.commands
    assert group.commands.get("lazy") is None


def test_a_command_imports_no_other(tmp_path: Path) -> None:
    """``train versions list`` loads its own module, and none of another command or of a run."""
    program = (
        "import sys; from training_service.cli.main import main\n"
        f"code = main(['versions', 'list', '--store', {str(tmp_path)!r}])\n"
        "names = ('cli.modes', 'cli.match', 'cli.cache', 'cli.versions_check', 'orchestrator',\n"
        "         'release.version_manager')\n"
        "others = {f'training_service.{name}' for name in names}\n"
        "print(code, sorted(others & sys.modules.keys()), 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 [] False"
