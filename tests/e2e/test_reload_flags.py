"""``train reload``, ``--require-reload``, ``--rollback-on-reload-failure`` and the secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.support.cli import Done
from tests.support.reload_server import ReloadServer, answer, confirm, reload_server
from tests.support.worlds import World, tree
from training_service.adapters.store_lock import StoreLock

PENDING = "pending_reload.json"
SECRET = "whsec_" + base64.b64encode(b"not a real secret, but long").decode()
CLOSED = "http://127.0.0.1:1/reload"


@pytest.fixture
def service() -> Iterator[ReloadServer]:
    """A service that refuses the first version it is told of and confirms every later one."""
    with reload_server(answer(422), confirm) as running:
        yield running


def build(world: World) -> str:
    """One more version, which does not serve."""
    return str(world.train("build-index", "--rebuild", "--json").document["version"])


def promote(world: World, version: str, *flags: str) -> Done:
    """``train versions promote`` with flags."""
    return world.train("versions", "promote", version, *flags)


def test_unconfirmed_ends_with_3_where_it_is_required(fresh: World, service: ReloadServer) -> None:
    """The report is printed, the version stays, and 3 says why; the next run makes it good."""
    flags = ("full-train", "--require-reload", "--reload-url", service.url)
    done = fresh.train(*flags)
    assert (done.code, len(service.seen)) == (3, 1)
    assert done.out.startswith("promoted-first: ")
    (line,) = done.error_lines
    assert line.startswith(f"error: {fresh.latest} is promoted, and the reload is not confirmed")
    assert "answered 422; `train reload --pending` tells the service again" in line
    assert (fresh.store / PENDING).exists()

    away = fresh.train("full-train", "--require-reload", "--reload-url", CLOSED, "--json")
    assert (away.code, away.document["verdict"]) == (3, "unchanged")
    assert (away.last_words["code"], away.last_words["reason"]) == (3, "reload-unconfirmed")
    assert fresh.train(*flags).code == 0
    assert not (fresh.store / PENDING).exists()


def test_an_unchanged_run_with_a_delivery_to_make_needs_the_store(served: World) -> None:
    """Held by another run it ends with 11, and with nothing pending it needs no lock at all."""
    flags = ("full-train", "--reload-url", CLOSED)
    with StoreLock(served.store, "full-train", "run-9"):
        assert served.train(*flags).code == 0
        (served.store / PENDING).write_text("{}")
        assert served.train(*flags).code == 11


def test_the_gates_no_comes_before_an_unconfirmed_reload(served: World) -> None:
    """A held version ends with 4 even when a reload from before is still not confirmed."""
    promote(served, build(served), "--reload-url", CLOSED)
    flags = ("--require-reload", "--reload-url", CLOSED, "--set", "min_holdout_queries=1000")
    held = served.train("full-train", "--rebuild", "--json", *flags)
    assert (held.code, held.document["reload"]["outcome"]) == (4, "failed")


@pytest.mark.parametrize(
    "command",
    [
        ("full-train", "--require-reload"),
        ("versions", "promote", "v20200101", "--require-reload"),
        ("versions", "rollback", "--require-reload"),
        ("reload",),
        ("reload", "--pending"),
    ],
    ids=" ".join,
)
def test_without_an_address_nothing_can_be_required(
    served: World, command: tuple[str, ...]
) -> None:
    """With no reload URL these end with 2 before anything is done."""
    before = tree(served.store)
    done = served.train(*command, "--reload-url", "")
    assert (done.code, done.out) == (2, "")
    assert "no reload URL is set; set ML_SERVICE_RELOAD_URL or --reload-url" in done.err
    assert tree(served.store) == before


def test_promotion_and_rollback_by_hand_require_it_too(served: World) -> None:
    """Both end with 3 when nobody confirms, and with 0 when the service does."""
    second = build(served)
    for command in (("promote", second), ("rollback",)):
        done = served.train("versions", *command, "--reload-url", CLOSED, "--require-reload")
        assert done.code == 3, done.err
        assert "reload: failed - " in done.out
    with reload_server(confirm) as up:
        done = promote(served, second, "--reload-url", up.url, "--require-reload")
    assert (done.code, served.latest) == (0, second)


def test_a_refused_version_goes_out_of_service(served: World, service: ReloadServer) -> None:
    """The former version serves again, the service is told, and 4 and one line say so."""
    first, second = str(served.latest), build(served)
    flags = ("--rollback-on-reload-failure", "--require-reload", "--reload-url", service.url)
    done = promote(served, second, *flags)

    assert (done.code, served.latest) == (4, first)
    assert [seen.json["version"] for seen in service.seen] == [second, first]
    assert len({seen.headers["webhook-id"] for seen in service.seen}) == 2
    (line,) = [each for each in done.out.splitlines() if each.startswith("held-refused")]
    assert line == (
        f"held-refused-by-service: the ML service refused {second}: {service.url} answered 422; "
        f"{first} serves again"
    )
    assert not (served.store / PENDING).exists()
    kinds = [json.loads(path.read_text())["kind"] for path in records(served)]
    assert kinds == ["first", "manual", "rollback"]


def records(world: World) -> list[Path]:
    """The promotion records, in order."""
    return sorted((world.store / "promotions").iterdir())


def test_a_run_whose_version_is_refused_ends_with_4(served: World, service: ReloadServer) -> None:
    """A trained version that the service refuses is held, and held again when nothing changed."""
    first = str(served.latest)
    flags = ("--rollback-on-reload-failure", "--reload-url", service.url)
    done = served.train("full-train", "--rebuild", "--force", "--reason", "x", *flags)
    assert (done.code, served.latest) == (4, first)
    assert done.out.startswith("held-refused-by-service: ")
    assert f"  {first} serves again" in done.out.splitlines()
    assert not (served.store / PENDING).exists()


def test_with_nothing_to_restore_a_refused_version_stays(
    fresh: World, service: ReloadServer
) -> None:
    """The first version ever stays promoted, its reload pending, and the report says why."""
    flags = ("--rollback-on-reload-failure", "--reload-url", service.url)
    done = fresh.train("full-train", *flags)
    assert (done.code, fresh.latest, len(service.seen)) == (0, fresh.versions[0], 1)
    assert f"{fresh.latest} stays in service: nothing served before" in done.out
    assert (fresh.store / PENDING).exists()


def test_a_service_out_of_reach_refuses_nothing(served: World) -> None:
    """No connection is no refusal: the new version stays in service, to be told later."""
    second = build(served)
    done = promote(served, second, "--rollback-on-reload-failure", "--reload-url", CLOSED)
    assert (done.code, served.latest) == (0, second)
    assert (served.store / PENDING).exists()


def test_reload_tells_what_serves(served: World) -> None:
    """`train reload` asks the service under a new id each time, and journals it."""
    with reload_server(confirm) as up:
        done = served.train("reload", "--json", "--reload-url", up.url)
        text = served.train("reload", "--reload-url", up.url)
    assert (done.code, text.code) == (0, 0)
    assert done.document["reload"]["outcome"] == "confirmed"
    assert text.out == f"reload: confirmed - {up.url} confirmed that it serves {served.latest}\n"
    assert [seen.json["version"] for seen in up.seen] == [served.latest] * 2
    assert len({seen.headers["webhook-id"] for seen in up.seen}) == 2
    assert len(list((served.store / "runs").iterdir())) == 3


def test_pending_reload_is_delivered_on_request(served: World) -> None:
    """`train reload --pending` ends with 3 until the service confirms, then has nothing to do."""
    second = build(served)
    promote(served, second, "--reload-url", CLOSED)
    away = served.train("reload", "--pending", "--reload-url", CLOSED)
    assert (away.code, (served.store / PENDING).exists()) == (3, True)
    with reload_server(confirm) as up:
        told = served.train("reload", "--pending", "--reload-url", up.url)
        nothing = served.train("reload", "--pending", "--reload-url", up.url)
    assert (told.code, nothing.code, len(up.seen)) == (0, 0, 1)
    assert nothing.out == "no reload is pending: there is nothing to deliver\n"
    assert not (served.store / PENDING).exists()


def test_before_the_first_promotion_there_is_nothing_to_load(fresh: World) -> None:
    """An empty store is a usage error for `reload`, and nothing to deliver for `--pending`."""
    plain = fresh.train("reload", "--reload-url", CLOSED)
    assert (plain.code, "nothing was promoted yet" in plain.err) == (2, True)
    assert fresh.train("reload", "--pending", "--reload-url", CLOSED).code == 0
    assert not fresh.store.exists()


def test_a_damaged_version_is_not_announced(served: World) -> None:
    """What does not verify is not offered to the service: 12, and nobody is asked."""
    (served.store / str(served.latest) / "index.faiss").write_bytes(b"x")
    with reload_server(confirm) as up:
        done = served.train("reload", "--reload-url", up.url)
    assert (done.code, up.seen) == (12, [])


def test_every_request_is_signed_and_the_secret_stays_inside(fresh: World) -> None:
    """The public library verifies the request; no output, record or file holds the secret."""
    signed = fresh.with_settings(TRAIN_RELOAD_SECRET=SECRET)
    with reload_server(answer(401)) as up:
        flags = ("--debug", "--require-reload", "--reload-url", up.url)
        runs = [
            signed.train("full-train", *flags, "--log-format", "json"),
            signed.train("config"),
            signed.train("reload", "--debug", "--reload-url", up.url),
        ]
    assert [done.code for done in runs] == [3, 0, 3]
    assert "have both sides the same reload_secret" in runs[0].err
    for seen in up.seen:
        verified = Webhook(SECRET).verify(seen.body, seen.headers)
        assert verified["version"] == fresh.latest
    files = [path.read_bytes() for path in fresh.store.rglob("*") if path.is_file()]
    texts = [text.encode() for done in runs for text in (done.out, done.err)]
    hidden = [SECRET.encode(), SECRET.removeprefix("whsec_").encode(), b"not a real secret"]
    assert not [each for text in (*files, *texts) for each in hidden if each in text]
