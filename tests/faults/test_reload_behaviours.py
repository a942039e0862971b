"""A service in every mood is told of a promotion by real runs, and told again once it is well."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.faults.counts import Sweep, listed
from tests.faults.scenarios import PENDING, each
from tests.faults.small_worlds import changed
from tests.faults.zygote import Zygote
from tests.support.reload_moods import Mood, in_mood, moods, self_signed
from tests.support.reload_server import ReloadServer, Seen, confirm, reload_server
from tests.support.worlds import World, copy_of

LIMIT_S = 30.0
SHORT_S = 3.0
SHORTER = f"""
from functools import partial
from training_service.adapters import reload_hook
reload_hook.HttpLimits = partial(
    reload_hook.HttpLimits, connect_s=1.0, read_s=1.0, total_s={SHORT_S}, backoff_s=0.02
)
"""


@dataclass(frozen=True)
class Trial:
    """One mood met by one command over a copy of ``world``, by limits of our own or real ones."""

    mood: Mood
    world: World
    command: tuple[str, ...]
    is_short: bool

    def run(self, zygote: Zygote, place: Callable[[], Path]) -> tuple[list[str], float]:
        """What is wrong, and how long the service was waited for (s)."""
        world = copy_of(self.world, place())
        prelude = SHORTER if self.is_short else ""
        with in_mood(self.mood) as (url, service):
            settings = {"ML_SERVICE_RELOAD_URL": url}
            done = zygote.run(world, *self.command, "--json", prelude=prelude, settings=settings)
        if done.code != 0:
            return [f"{self}: ended with {done.code}: {done.err[-300:]}"], 0.0
        reload = done.document["reload"]
        faults = [*self._untrue(reload, service), *self._not_made_good(zygote, world, service)]
        return [f"{self}: {fault}" for fault in faults], float(reload["duration_s"])

    def _untrue(self, reload: dict[str, object], service: ReloadServer) -> list[str]:
        limit_s = SHORT_S if self.is_short else LIMIT_S
        found = (reload["outcome"], len(service.seen))
        wanted = (self.mood.outcome, self.mood.requests)
        faults = [] if found == wanted else [f"{found}, expected {wanted}: {reload['detail']}"]
        if float(str(reload["duration_s"])) > limit_s + 1:
            faults.append(f"took {reload['duration_s']} s")
        return faults

    def _not_made_good(self, zygote: Zygote, world: World, service: ReloadServer) -> list[str]:
        """Pending exactly when unconfirmed; then delivered by the next run, under one id."""
        is_pending = (world.store / PENDING).exists()
        if is_pending == (self.mood.outcome == "confirmed"):
            return [f"pending: {is_pending}"]
        follow_up = self.command if self.command[0] == "full-train" else ("reload", "--pending")
        with reload_server(confirm) as well:
            settings = {"ML_SERVICE_RELOAD_URL": well.url}
            done = zygote.run(world, *follow_up, settings=settings)
        faults = [] if done.code == 0 else [f"the next run ended with {done.code}: {done.err}"]
        if len(well.seen) != is_pending or (world.store / PENDING).exists():
            faults.append(f"the next run made {len(well.seen)} requests")
        if len({_identity(seen) for seen in (*service.seen, *well.seen)}) > 1:
            faults.append("one delivery went by several ids or bodies")
        if any(json.loads(seen.body)["version"] != world.latest for seen in well.seen):
            faults.append(f"not told of {world.latest}")
        return faults

    def __str__(self) -> str:
        return f"{self.mood.name}, {self.command[0]}"


def _identity(seen: Seen) -> tuple[str, bytes]:
    return seen.headers["webhook-id"], seen.body


@pytest.fixture
def commands(zygote: Zygote, small_served_once: World, tmp_path: Path) -> list[Trial]:
    """A run that promotes, and a promotion by hand, each with a world to do it in."""
    trained = copy_of(small_served_once, tmp_path / "trained")
    changed(trained)
    built = copy_of(small_served_once, tmp_path / "built")
    assert zygote.run(built, "build-index").code == 0
    by_hand = ("versions", "promote", built.versions[-1])
    nobody = Mood("", "", 0)
    return [
        Trial(nobody, trained, ("full-train",), is_short=False),
        Trial(nobody, built, by_hand, is_short=False),
    ]


@pytest.fixture
def certificate(tmp_path: Path) -> Path | None:
    """A certificate that nobody trusts, if one can be made."""
    return self_signed(tmp_path)


def planned(known: list[Mood], commands: list[Trial], *, is_full: bool) -> list[Trial]:
    """Every mood with every command by the real limits, or with one of them by short ones."""
    return [
        replace(one, mood=mood, is_short=not is_full)
        for number, mood in enumerate(known)
        for one in (commands if is_full else [commands[number % len(commands)]])
    ]


def test_reload_behaviours(
    zygote: Zygote,
    *,
    is_full: bool,
    sweep: Callable[[str], Sweep],
    commands: list[Trial],
    place: Callable[[], Path],
    certificate: Path | None,
) -> None:
    """No mood is waited for too long, believed wrongly, followed elsewhere, or forgotten."""
    counted = sweep("reload-behaviours")
    with reload_server(confirm) as elsewhere:
        known = moods(elsewhere.url, certificate)
        trials = planned(known, commands, is_full=is_full)
        done = each(lambda trial: trial.run(zygote, place), trials)
        followed = len(elsewhere.seen)
    outcomes = listed(Counter(trial.mood.outcome for trial in trials))
    longest_s = max(took_s for _, took_s in done)
    line = counted.told(
        f"{len(known)} moods in {len(trials)} runs ({outcomes}), longest {longest_s:.1f} s, "
        f"{followed} redirects followed, {sum(bool(wrong) for wrong, _ in done)} wrong",
        moods=[mood.name for mood in known],
        took_s=[took_s for _, took_s in done],
        has_tls=certificate is not None,
    )
    assert len(known) >= 20
    assert followed == 0, line
    assert [fault for faults, _ in done for fault in faults] == []
