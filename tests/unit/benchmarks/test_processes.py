from __future__ import annotations

import sys

import pytest

from benchmarks.processes import CommandFailed, run

HOLD = "held = b'x' * {size}; import time; time.sleep(0.6)"
MEGABYTE = 1_000_000


def test_memory_of_children_counts() -> None:
    """The peak of a command that leaves its work to a child is at least what the child holds."""
    child = HOLD.format(size=150 * MEGABYTE)
    script = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    assert run((sys.executable, "-c", script)).peak_bytes > 150 * MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="counted by what Linux tells in /proc")
def test_processes_that_run_at_one_time_are_added_up() -> None:
    """The peak of two children side by side is more than the larger of them."""
    child = HOLD.format(size=100 * MEGABYTE)
    script = (
        "import subprocess, sys\n"
        f"two = [subprocess.Popen([sys.executable, '-c', {child!r}]) for _ in range(2)]\n"
        "[each.wait() for each in two]\n"
    )
    assert run((sys.executable, "-c", script)).peak_bytes > 190 * MEGABYTE


def test_settings_of_the_shell_do_not_reach_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of ours is passed on, and the hub is not asked."""
    monkeypatch.setenv("TRAIN_CHROMA", "off")
    monkeypatch.setenv("MIN_ACCURACY", "1")
    script = "import os; print({'TRAIN_CHROMA', 'MIN_ACCURACY'} & os.environ.keys(),"
    script += " os.environ['HF_HUB_OFFLINE'])"
    assert run((sys.executable, "-c", script)).stdout == "set() 1\n"


def test_a_command_that_fails_is_an_error_that_tells_what_it_said() -> None:
    """Nothing is measured of a command that failed; its last words are told."""
    with pytest.raises(CommandFailed, match="no room"):
        run((sys.executable, "-c", "import sys; sys.exit('no room')"))


def test_an_end_that_was_expected_is_measured() -> None:
    """A command that may end with another code is measured where it does, and no other code is."""
    held = (sys.executable, "-c", "import sys; sys.exit(4)")
    assert run(held, expected=(0, 4)).code == 4
    with pytest.raises(CommandFailed):
        run(held, expected=(0, 3))
