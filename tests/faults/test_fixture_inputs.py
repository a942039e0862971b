"""Every stored file damaged on purpose: refused in one line that names it, by every command."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.faults.counts import Sweep, listed
from tests.faults.inputs_stored import Damage, damage, damages
from tests.faults.small_worlds import changed
from tests.support.bad_inputs import FOLDER, bad_inputs
from tests.support.cli import Done
from tests.support.worlds import World, copy_of

LONGEST_S = 5.0
LEAST_FIXTURES = 300
FAST_PART, FAST_WHOLE = 8, 48
REFUSED = frozenset({12, 15, 16})
QUERY = ("match", "zzz")
LOOKS = (
    QUERY,
    ("match", "--json", "zzz"),
    ("versions", "list"),
    ("versions", "list", "--json"),
    ("versions", "verify"),
    ("history",),
    ("history", "--json"),
    ("smoke-test",),
)
OF_ONE = (("versions", "show"), ("versions", "show", "--json"), ("versions", "verify"))


def _problems(done: Done, took_s: float) -> list[str]:
    """What no command may do, whatever it was given."""
    lines = [line for line in done.err.splitlines() if line.startswith(("error", "internal"))]
    expected = 1 if done.code not in {0, 4} else 0
    checks = {
        f"exit {done.code}: {done.err[-300:]}": done.code not in {0, 2, 3, 4, 12, 15, 16},
        f"a traceback: {done.err[-300:]}": "Traceback" in done.err + done.out,
        f"{len(lines)} error lines": len(lines) != expected,
        f"an unprintable line: {lines}": not all(line.isprintable() for line in lines),
        f"took {took_s:.1f} s": took_s > LONGEST_S,
    }
    return [what for what, is_so in checks.items() if is_so]


class _Trial:
    """One damaged world, and what its commands did that they must not."""

    def __init__(self, world: World, case: Damage) -> None:
        self.world = world
        self.case = case
        self.wrong: list[str] = []
        self.slowest_s = 0.0

    def run(self, *arguments: str) -> Done:
        began_s = time.perf_counter()
        done = self.world.train(*arguments)
        took_s = time.perf_counter() - began_s
        self.slowest_s = max(self.slowest_s, took_s)
        self.wrong += [f"{' '.join(arguments)}: {what}" for what in _problems(done, took_s)]
        return done

    def refusal(self, *arguments: str) -> None:
        """The command must refuse, and its one line must name the place."""
        done = self.run(*arguments)
        line = next(iter(done.error_lines), "")
        if done.code not in REFUSED:
            self.wrong.append(f"{' '.join(arguments)}: exit {done.code}, expected 12")
        elif not re.search(self.case.pattern, line):
            self.wrong.append(f"{' '.join(arguments)}: does not name {self.case.pattern}: {line}")


def _tried(world: World, case: Damage, *, is_whole: bool) -> _Trial:
    trial = _Trial(world, case)
    latest = str(world.latest)
    damage(world.store, case)
    if case.is_of_version and not case.nonsense:
        trial.refusal(*QUERY)
    elif case.file == "promotions":
        trial.refusal("versions", "rollback")
    else:
        trial.run("full-train")
    if is_whole:
        for look in LOOKS:
            trial.run(*look)
        for look in OF_ONE:
            trial.run(*look, latest)
        trial.run("versions", "diff", latest, latest)
        changed(world)
        # A champion is judged by lexical profiles made anew, without the held-out answers.
        if case.is_of_version and not case.nonsense and case.file != "lexical.safetensors":
            trial.refusal("full-train")
        trial.run("full-train")
        trial.run("versions", "rollback")
    return trial


def test_damaged_files_of_a_store_are_refused_by_name(
    is_full: bool,
    sweep: Callable[[str], Sweep],
    small_served_once: World,
    place: Callable[[], Path],
) -> None:
    """A damaged artefact with a manifest that agrees is refused by name, and nothing crashes."""
    counted = sweep("fixture-inputs")
    cases = damages()
    trials = [
        _tried(copy_of(small_served_once, place()), case, is_whole=is_full or i % FAST_WHOLE == 0)
        for i, case in enumerate(cases)
        if is_full or i % FAST_PART == 0
    ]
    files = Counter(trial.case.file for trial in trials)
    slowest_s = max(trial.slowest_s for trial in trials)
    wrong = [f"{trial.case.name}: {what}" for trial in trials for what in trial.wrong]
    counted.told(
        f"{len(trials)} damaged files ({listed(files)}), {len(wrong)} wrong, "
        f"slowest command {slowest_s:.2f} s",
        total=len(trials),
        wrong=wrong,
        slowest_s=round(slowest_s, 3),
    )
    assert not wrong, "\n".join(wrong)


def test_there_are_three_hundred_fixtures() -> None:
    """The promise of the project is kept: inputs, settings and stored files, 300 and more."""
    configurations = yaml.safe_load(
        (FOLDER.parent / "bad_config" / "expectations.yaml").read_text(encoding="utf-8")
    )
    files = len(bad_inputs("canonical")) + len(bad_inputs("feedback"))
    assert files + len(configurations) + len(damages()) >= LEAST_FIXTURES


@pytest.mark.parametrize("case", damages()[:1], ids=lambda case: case.file)
def test_a_damage_is_a_damage(
    case: Damage, small_served_once: World, place: Callable[[], Path]
) -> None:
    """The version is sound before, so what is refused after is refused for the damage."""
    world = copy_of(small_served_once, place())
    assert world.train(*QUERY).code == 0
    damage(world.store, case)
    assert world.train(*QUERY).code == 12
