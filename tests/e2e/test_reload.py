"""A promotion is told to a real ML service on loopback, whatever that service does with it."""

from __future__ import annotations

import json

import pytest

from tests.support.reload_server import Behaviour, answer, confirm, reload_server
from tests.support.worlds import World

PENDING = "pending_reload.json"


def test_confirmed_reload_leaves_nothing_pending(fresh: World) -> None:
    """The service is asked once, by POST, with the version and its digest, and confirms."""
    with reload_server(confirm) as service:
        report = fresh.built("--reload-url", service.url)
    (seen,) = service.seen
    assert (seen.method, seen.path) == ("POST", "/reload")
    assert seen.json["version"] == report["version"] == fresh.latest
    (record,) = (fresh.store / "promotions").iterdir()
    promotion = json.loads(record.read_text(encoding="utf-8"))
    assert seen.json["manifest_sha256"] == promotion["manifest_sha256"]
    assert report["reload"]["outcome"] == "confirmed"
    assert not (fresh.store / PENDING).exists()


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (answer(400), "refused"),
        (answer(302, Location="/elsewhere"), "failed"),
        (answer(200, b'{"version": "v19990101"}'), "accepted-unconfirmed"),
        (answer(204), "accepted-unconfirmed"),
    ],
    ids=["refused", "redirected", "another version", "says nothing"],
)
def test_unconfirmed_reload_is_visible_kept_and_not_fatal(
    fresh: World, behaviour: Behaviour, outcome: str
) -> None:
    """Without a confirmation the run ends with 0, says so, journals it and keeps it pending."""
    with reload_server(behaviour) as service:
        done = fresh.train("full-train", "--reload-url", service.url)
    assert (done.code, len(service.seen)) == (0, 1)
    (path,) = (fresh.store / "runs").iterdir()
    journal = json.loads(path.read_text(encoding="utf-8"))
    reload = journal["notes"]["reload"]
    assert reload["outcome"] == outcome
    assert f"reload: {outcome} - " in done.out
    pending = json.loads((fresh.store / PENDING).read_text(encoding="utf-8"))
    assert (pending["version"], pending["attempts"]) == (fresh.latest, 1)
    assert fresh.latest is not None


def test_held_version_is_not_announced(fresh: World) -> None:
    """What is not promoted is not told to anybody."""
    with reload_server(confirm) as service:
        report = fresh.built("--reload-url", service.url, "--set", "min_holdout_queries=1000")
    assert (report["verdict"], report["reload"]) == ("held-too-little-data", None)
    assert service.seen == []
    assert not (fresh.store / PENDING).exists()


def test_pending_reload_is_delivered_by_the_next_run(fresh: World) -> None:
    """A run that finds nothing changed tells the service what it missed, under the same id."""
    with reload_server(answer(400)) as away:
        version = fresh.built("--reload-url", away.url)["version"]
    before = fresh.versions, sorted((fresh.store / "runs").iterdir())
    with reload_server(confirm) as service:
        idle = fresh.built("--reload-url", service.url)
        again = fresh.built("--reload-url", service.url)
    (seen,) = service.seen
    assert seen.json["version"] == version == fresh.latest
    assert seen.headers["webhook-id"] == away.seen[0].headers["webhook-id"]
    assert (idle["verdict"], idle["reload"]["outcome"]) == ("unchanged", "confirmed")
    assert (again["verdict"], again["reload"]) == ("unchanged", None)
    assert not (fresh.store / PENDING).exists()
    assert (fresh.versions, sorted((fresh.store / "runs").iterdir())) == before


def test_pending_reload_is_delivered_by_a_run_that_promotes_nothing(fresh: World) -> None:
    """A run that builds and does not promote tells the service what `latest` names."""
    with reload_server(answer(400)) as away:
        version = fresh.built("--reload-url", away.url)["version"]
    with reload_server(confirm) as service:
        done = fresh.train("build-index", "--json", "--reload-url", service.url)
    assert [seen.json["version"] for seen in service.seen] == [version] == [fresh.latest]
    assert done.document["reload"]["outcome"] == "confirmed"
    assert done.document["version"] != version
    assert not (fresh.store / PENDING).exists()


def test_promotion_by_hand_and_rollback_are_announced(served: World) -> None:
    """`versions promote` and `rollback` tell the service which version serves now."""
    first = str(served.latest)
    second = served.train("build-index", "--json").document["version"]
    with reload_server(confirm) as service:
        promoted = served.train(
            "versions", "promote", second, "--json", "--reload-url", service.url
        )
        back = served.train("versions", "rollback", "--json", "--reload-url", service.url)
    assert [seen.json["version"] for seen in service.seen] == [second, first]
    assert promoted.document["reload"]["outcome"] == "confirmed"
    assert promoted.document["promotion"]["kind"] == "manual"
    assert back.document["promotion"]["kind"] == "rollback"
    assert served.latest == first
