"""Any sequence of releases and prunings against a model of plain dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from tests.support.versions import DAY, promote, publish
from training_service.errors import UsageError
from training_service.release.pins import Pins
from training_service.release.pruning import Pruner
from training_service.release.retention import KeepRules, Retention
from training_service.release.version_manager import VersionManager

HOURS = st.sampled_from([-30, 1, 1, 13, 30, 60])
ACTIONS = st.one_of(
    st.tuples(st.just("publish"), HOURS),
    st.tuples(st.just("promote"), st.integers(0, 9)),
    st.tuples(st.just("promote"), st.integers(0, 9)),
    st.tuples(st.sampled_from(["pin", "unpin"]), st.integers(0, 9)),
    st.tuples(st.just("rollback"), st.just(0)),
    st.tuples(st.just("wait"), HOURS),
    st.tuples(st.just("prune"), st.integers(1, 2)),
    st.tuples(st.just("prune"), st.integers(1, 2)),
)


@dataclass
class Model:
    """What must be true of a store; ``made`` is in the order of making."""

    made: dict[str, datetime] = field(default_factory=dict)
    left: dict[str, datetime] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    latest: str | None = None

    def leave(self, now: datetime) -> None:
        """What serves goes out of service."""
        if self.latest is not None:
            self.left[self.latest] = max(now, self.left.get(self.latest, now))

    def stays(self, now: datetime, newest: int, hours: float) -> set[str]:
        """The versions that pruning must keep, every one of them and no other."""
        young = {
            name
            for name, made in self.made.items()
            if now - max(made, self.left.get(name, made)) < timedelta(hours=hours)
        }
        way_back = {self.before[self.latest]} if self.latest in self.before else set()
        kept = (
            young | self.pinned | way_back | set(list(self.made)[-newest:]) | {self.latest or ""}
        )
        return kept & self.made.keys()


@dataclass
class Both:
    """A real store and its model, changed together."""

    manager: VersionManager
    clock: FakeClock
    model: Model = field(default_factory=Model)

    def publish(self, hours: int) -> None:
        self.clock.advance(hours=hours)
        name = publish(self.manager, self.clock.now(), str(len(self.model.names))).name
        assert name not in self.model.names
        self.model.names.add(name)
        self.model.made[name] = self.clock.now()

    def wait(self, hours: int) -> None:
        self.clock.advance(hours=hours)

    def promote(self, number: int) -> None:
        name = self._named(number)
        if name is None or name == self.model.latest:
            return
        promote(self.manager, name)
        self.model.leave(self.clock.now())
        self.model.before.pop(name, None)
        if self.model.latest is not None:
            self.model.before[name] = self.model.latest
        self.model.latest = name

    def rollback(self, _: int) -> None:
        back = self.model.before.get(self.model.latest or "")
        if back not in self.model.made:
            with pytest.raises(UsageError):
                self.manager.rollback(run_id="r")
            return
        self.manager.rollback(run_id="r")
        self.model.leave(self.clock.now())
        self.model.latest = back

    def pin(self, number: int) -> None:
        name = self._named(number)
        if name is not None:
            Pins(self.manager.store, self.clock).pin(name, "")
            self.model.pinned.add(name)

    def unpin(self, number: int) -> None:
        name = self._named(number)
        if name is not None:
            was = Pins(self.manager.store, self.clock).unpin(name)
            assert was == (name in self.model.pinned)
            self.model.pinned.discard(name)

    def prune(self, newest: int) -> None:
        pins = Pins(self.manager.store, self.clock)
        plan = Retention(self.manager, pins, self.clock).plan(KeepRules(newest, hours=24))
        done = Pruner(self.manager.store, self.clock).carry_out(plan)
        stays = self.model.stays(self.clock.now(), newest, hours=24)
        assert done.faults == ()
        assert {each.version for each in done.kept} == stays
        assert {each.version for each in done.gone} == self.model.made.keys() - stays
        self.model.made = {name: at for name, at in self.model.made.items() if name in stays}
        way_back = self.model.before.get(self.model.latest or "")
        assert way_back is None or self.manager.verify(way_back) == ()

    def _named(self, number: int) -> str | None:
        names = list(self.model.made)
        return names[number % len(names)] if names else None

    def check(self) -> None:
        """The store holds exactly the model's versions, and what serves is whole."""
        assert [info.name for info in self.manager.list()] == list(self.model.made)
        assert self.manager.current() == self.model.latest
        if self.model.latest is not None:
            assert self.manager.verify(self.model.latest) == ()


@settings(derandomize=True, max_examples=40, deadline=None)
@given(actions=st.lists(ACTIONS, min_size=12, max_size=30))
def test_pruning_keeps_all_it_must_and_nothing_else(
    actions: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is released, pinned and pruned, the store is what plain dictionaries say it is."""
    clock = FakeClock(DAY)
    both = Both(VersionManager(tmp_path_factory.mktemp("store"), clock), clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)  # no power is cut here, and it takes most time
        for hours in (0, 1, 30):
            both.publish(hours)
        for name, number in actions:
            getattr(both, name)(number)
            both.check()
        both.prune(1)
        both.rollback(0)
        both.check()
