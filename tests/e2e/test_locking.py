"""One writer per store: who comes second waits or goes, and who is stopped lets go."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

from tests.support.cli import finished
from tests.support.reload_server import ReloadServer, hang, reload_server
from tests.support.versions import follows
from tests.support.worlds import World, tree

PATIENCE_S = 60


def wait_for(happened: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until something ``happened``; a process that ended before fails."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up_s
        time.sleep(0.02)


def run_that_holds_the_store(world: World, service: ReloadServer) -> subprocess.Popen[str]:
    """A full-train in a process of its own, held up by a service that does not answer."""
    told = world.with_settings(ML_SERVICE_RELOAD_URL=service.url)
    process = told.start("full-train", "--json")
    wait_for(lambda: service.seen, process)
    return process


def test_second_start_is_told_who_holds_the_store_and_can_wait(fresh: World) -> None:
    """A second run ends with 11 and the first one's pid, or waits and makes the day's second."""
    with reload_server(hang) as service:
        first = run_that_holds_the_store(fresh, service)
        before = tree(fresh.store)
        refused = fresh.train("full-train", "--rebuild", "--json")
        assert refused.code == refused.last_words["code"] == 11
        assert f"process {first.pid} " in refused.error_lines[0]
        assert "full-train" in refused.error_lines[0]
        assert tree(fresh.store) == before
        waiting = fresh.start("full-train", "--rebuild", "--json", "--wait", str(PATIENCE_S))
        by_hand = fresh.train("versions", "rollback", "--wait", "0.2")
        assert by_hand.code == 11
        assert "after waiting 0.2 s" in by_hand.error_lines[0]
        service.released.set()
        one, two = finished(first), finished(waiting)
    assert (one.code, two.code) == (0, 0), one.err + two.err
    assert two.document["version"] == fresh.latest
    assert follows(two.document["version"], one.document["version"])
    assert two.document["metrics"]["champion"]["version"] == one.document["version"]


def test_readers_need_no_lock(fresh: World) -> None:
    """While a run holds the store, matching, listing and verifying go on."""
    with reload_server(hang) as service:
        holder = run_that_holds_the_store(fresh, service)
        for command in (["match", "anything"], ["versions", "list"], ["versions", "verify"]):
            assert fresh.train(*command).code == 0
        service.released.set()
        assert finished(holder).code == 0


def test_stopped_run_ends_with_its_signal_and_frees_the_store(fresh: World) -> None:
    """SIGTERM during the reload ends with 143: promoted, still pending, journalled, not locked."""
    with reload_server(hang) as service:
        process = run_that_holds_the_store(fresh, service)
        process.send_signal(signal.SIGTERM)
        done = finished(process)
    assert (done.code, done.out) == (143, "")
    assert "stopped by SIGTERM" in done.error_lines[0]
    assert fresh.train("versions", "verify").out.startswith(f"{fresh.latest}: whole\n")
    (journal,) = (fresh.store / "runs").iterdir()
    assert fresh.journal(journal.stem)["outcome"] == "failed"
    assert (fresh.store / "pending_reload.json").exists()
    assert list((fresh.store / ".staging").iterdir()) == []
    assert fresh.train("full-train", "--rebuild").code == 0


def test_killed_run_leaves_nothing_in_the_way(fresh: World) -> None:
    """After SIGKILL the next run takes the lock, whatever the dead one's name says."""
    with reload_server(hang) as service:
        process = run_that_holds_the_store(fresh, service)
        process.kill()
        assert finished(process).code == -signal.SIGKILL
    assert (fresh.store / ".lock.owner.json").exists()
    done = fresh.train("full-train", "--rebuild", "--json")
    assert (done.code, fresh.latest) == (0, done.document["version"])
    assert len(fresh.versions) == 2
