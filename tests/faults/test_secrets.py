"""Nothing secret reaches an output or a file, however a run ends and however loud it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

from tests.faults.counts import Sweep, listed
from tests.faults.scenarios import each
from tests.faults.secret_failures import (
    AMBIENT,
    RELOAD_QUERY,
    RELOAD_URL,
    UNSET,
    Failure,
    ambient_secrets,
    failures,
)
from tests.faults.stops import Place
from tests.faults.zygote import Zygote
from tests.support.reload_server import answer, reload_server
from tests.support.worlds import World, copy_of

LOUDNESS = ("--debug", "--json", "--quiet")
Loudness = tuple[str, ...]


def test_no_secret_leaves_the_process(
    zygote: Zygote,
    small_served_once: World,
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """Every exit code, with every flag: no canary in any stream, nor in any file of the store."""
    counted = sweep("secrets")
    every = [
        *((),),
        *(row for size in (1, 2, 3) for row in combinations(LOUDNESS, size)),
    ]
    tried = [
        (failure, loudness)
        for i, failure in enumerate(failures())
        for j, loudness in enumerate(every)
        if is_full or (j == (i * 3 + 1) % len(every) and i % 3 != 1)
    ]
    found = each(partial(leaks, zygote, small_served_once, place), tried)
    faults = [fault for each_found in found for fault in each_found]
    codes = Counter(str(failure.code) for failure, _ in tried)
    secrets = {secret for failure, _ in tried for secret in secrets_of(failure)}
    counted.told(
        f"{len(secrets)} canary secrets in {len(tried)} runs (exit codes {listed(codes)}): "
        f"{len(faults)} leaks",
        codes=dict(codes),
        faults=faults,
    )
    assert faults == []
    assert len(secrets) >= 25


def test_what_a_service_says_cannot_carry_the_secret_back(
    zygote: Zygote, small_served_once: World, place: Place
) -> None:
    """A service that echoes the query it was asked with finds it in no message and no record."""
    body = f'{{"version": "{RELOAD_QUERY}"}}'.encode()
    for behaviour in (answer(200, body), answer(500, body), answer(302, Location=RELOAD_URL)):
        with reload_server(behaviour) as service:
            url = f"{service.url}?{RELOAD_QUERY}"
            failure = Failure("echo", 0, settings={"ML_SERVICE_RELOAD_URL": url})
            found = leaks(zygote, small_served_once, place, (failure, ("--debug",)))
            assert found == []
            assert service.seen


def leaks(zygote: Zygote, once: World, place: Place, tried: tuple[Failure, Loudness]) -> list[str]:
    """Make the failure happen in a copy of a world; where which secret then stands."""
    failure, loudness = tried
    world = copy_of(once, place())
    settings = {"ML_SERVICE_RELOAD_URL": RELOAD_URL, **AMBIENT, **failure.settings}
    settings["TRAIN_CACHE_DIR"] = str(world.folder / "cache")
    if failure.config:
        file = place().with_suffix(".yaml")
        file.write_text(failure.config, encoding="utf-8")
        settings["TRAIN_CONFIG"] = str(file)
    settings = {name: value for name, value in settings.items() if value != UNSET}
    arguments = (*failure.arguments, *loudness)
    with failure.prepared(world):
        done = zygote.run(world, *arguments, prelude=failure.prelude, settings=settings)
    said = f"{failure.name} {' '.join(loudness)}"
    faults = [] if done.code == failure.code else [f"{said}: code {done.code}: {done.err[-500:]}"]
    texts = {"stdout": done.out, "stderr": done.err, **contents(world.folder)}
    faults += [
        f"{said}: {where}: {around(text, secret)}"
        for where, text in texts.items()
        for secret in secrets_of(failure)
        if secret in text
    ]
    return faults


def secrets_of(failure: Failure) -> list[str]:
    """Everything that must not be found after it."""
    return [*ambient_secrets(), *failure.secrets]


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder as text, and every name and link in it."""
    paths = list(folder.rglob("*"))
    names = {"names": "\n".join(str(path.relative_to(folder)) for path in paths)}
    files = [path for path in paths if path.is_file() and not path.is_symlink()]
    return names | {
        str(path.relative_to(folder)): path.read_bytes().decode("latin-1") for path in files
    }


def around(text: str, secret: str) -> str:
    """The leak and what stands before it."""
    at = text.index(secret)
    return repr(text[max(0, at - 80) : at + len(secret)])
