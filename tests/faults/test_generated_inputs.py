"""Generated input of every kind becomes a sound value or one refusal that names its place."""

from __future__ import annotations

import logging
import re
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, settings

from tests.faults.counts import Sweep, listed
from tests.faults.inputs_parsers import PARSERS, Parser
from training_service.cli.failure import failure_of
from training_service.cli.streams import one_line
from training_service.errors import TrainError

FULL, FAST = 100_000, 3_000
LONGEST_S = 5.0
MOST_GROWTH_KIB = 400 * 1024
SHOWN = 5


class _Hangs(BaseException):
    pass


@dataclass
class Counted:
    """What came of the cases of one parser."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""

    def take(self, parser: Parser, case: object, folder: Path) -> None:
        """Try one case."""
        began_s = time.perf_counter()
        outcome, problem = "accepted", ""
        try:
            with _limited():
                parser.check(parser.attempt(case, folder))
        except TrainError as error:
            outcome = type(error).__name__
            problem = _unfit(parser, error)
        except _Hangs:
            outcome, problem = "hang", f"took more than {2 * LONGEST_S} s"
        except Exception as error:  # noqa: BLE001 - that any other may come is what is tested
            outcome, problem = "unhandled", f"{type(error).__name__}: {str(error)[:200]}"
        took_s = time.perf_counter() - began_s
        if took_s > self.slowest_s:
            self.slowest_s, self.slowest = took_s, f"{case!r:.100}"
        self.outcomes[outcome] += 1
        if problem or took_s > LONGEST_S:
            self.wrong.append(f"{problem or f'{took_s:.1f} s'} for {case!r:.400}")


@contextmanager
def _limited() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Hangs

    former = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 2 * LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _unfit(parser: Parser, error: TrainError) -> str:
    """What is wrong with a refusal: its class, its place, or a line that is none."""
    if not isinstance(error, parser.refuses_with):
        return f"refused by {type(error).__name__}: {str(error)[:200]}"
    places = [fault.where for fault in error.faults] or [str(error)]
    if error.exit_code == 12:
        places = [str(error)]
    for place in places:
        if not re.search(parser.place, place):
            return f"names no place: {place[:200]}"
    line = one_line(failure_of(error).line)
    return "" if line.isprintable() and len(line) < 4000 else f"no line to show: {line[:200]}"


def _tried(parser: Parser, count: int, folder: Path) -> Counted:
    counted = Counted()

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(parser.cases)
    def case_by_case(case: object) -> None:
        counted.take(parser, case, folder)

    case_by_case()
    return counted


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_generated_input_is_accepted_whole_or_refused_by_place(
    is_full: bool, sweep: Callable[[str], Sweep], tmp_path: Path
) -> None:
    """No input makes a parser raise what is not ours, hang, or refuse without naming the place."""
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    counted = sweep("generated-inputs")
    share = -(-(FULL if is_full else FAST) // len(PARSERS))
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: dict[str, Counted] = {}
    for parser in PARSERS:
        folder = tmp_path / parser.name
        folder.mkdir()
        found[parser.name] = _tried(parser, share, folder)
    growth_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kib
    total = sum(each.outcomes.total() for each in found.values())
    unhandled = sum(each.outcomes["unhandled"] + each.outcomes["hang"] for each in found.values())
    slowest_s, slowest = max(
        (each.slowest_s, f"{name} {each.slowest}") for name, each in found.items()
    )
    lines = "; ".join(f"{name}: {listed(each.outcomes)}" for name, each in found.items())
    counted.told(
        f"{total:,} inputs, {unhandled} unhandled, slowest {slowest_s:.2f} s, "
        f"memory grew by {growth_kib / 1024:.0f} MiB; {lines}",
        total=total,
        unhandled=unhandled,
        slowest_s=round(slowest_s, 3),
        slowest=slowest,
        growth_kib=growth_kib,
        parsers={name: dict(each.outcomes) for name, each in found.items()},
    )
    wrong = [f"{name}: {w}" for name, each in found.items() for w in each.wrong[:SHOWN]]
    assert not wrong, "\n".join(wrong)
    assert total >= (FULL if is_full else FAST)
    assert growth_kib < MOST_GROWTH_KIB
    # What refuses or accepts everything was fed the wrong things.
    one_sided = {name for name, each in found.items() if len(each.outcomes) == 1}
    assert one_sided <= {"pending reload", "version name"}
