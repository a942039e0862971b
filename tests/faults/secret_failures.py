"""The secrets that a deployment may hold, and the ways to make ``train`` fail while it holds them.

A canary is a text that occurs nowhere else, so one that is found in an output has leaked.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.worlds import World
from training_service.adapters.store_lock import StoreLock


def canary(name: str) -> str:
    """A text that only a leak could bring into an output."""
    return "Cnry" + hashlib.sha256(name.encode()).hexdigest()[:20]


def webhook_secret(name: str) -> str:
    """A valid webhook secret; what stands behind the prefix is the canary."""
    return "whsec_" + base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()


AMBIENT: Mapping[str, str] = {
    "AWS_SECRET_ACCESS_KEY": canary("aws-secret"),
    "AWS_SESSION_TOKEN": canary("aws-session"),
    "DATABASE_URL": f"postgresql://app:{canary('database')}@db:5432/app",
    "HF_TOKEN": f"hf_{canary('hub')}",
    "HTTP_PROXY": f"http://me:{canary('http-proxy')}@127.0.0.1:9",
    "HTTPS_PROXY": f"http://me:{canary('https-proxy')}@127.0.0.1:9",
    "OPENAI_API_KEY": f"sk-{canary('openai')}",
    "PGPASSWORD": canary("pg"),
    "REGISTRY_PASSWORD": canary("registry"),
    "SOME_SERVICE_CREDENTIALS": canary("credentials"),
    "TRAIN_RELOAD_SECRET": f"{webhook_secret('one')} {webhook_secret('two')}",
}
UNSET = "(unset)"
RELOAD_QUERY = f"token={canary('query')}&v=1&key={canary('second-query')}"
RELOAD_URL = f"http://127.0.0.1:9/reload?{RELOAD_QUERY}"


@dataclass(frozen=True)
class Failure:
    """A command that ends with ``code``, given ``secrets`` in addition to the ambient ones."""

    name: str
    code: int
    arguments: tuple[str, ...] = ("full-train", "--rebuild")
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    config: str = ""
    prelude: str = ""
    prepare: Callable[[World], AbstractContextManager[object] | None] = lambda _world: None

    def prepared(self, world: World) -> AbstractContextManager[object]:
        """The world as the failure needs it, for as long as the run takes."""
        return self.prepare(world) or nullcontext()


def ambient_secrets() -> list[str]:
    """What of the ambient settings is secret, in each spelling that an output could have."""
    webhook = AMBIENT["TRAIN_RELOAD_SECRET"].split()
    keys = [each.removeprefix("whsec_") for each in webhook]
    raw = [base64.b64decode(key).hex() for key in keys]
    names = ("aws-secret", "aws-session", "database", "hub", "http-proxy", "https-proxy")
    more = ("openai", "pg", "registry", "credentials", "query", "second-query")
    return [*map(canary, names + more), *keys, *raw]


def failures() -> list[Failure]:
    """One for each exit code, and one for each place that a secret can be mistyped into."""
    return [*_by_code(), *_mistyped(), *_in_the_file(), *_no_failure()]


def _by_code() -> list[Failure]:
    endpoint = {"HF_ENDPOINT": f"http://me:{canary('endpoint')}@127.0.0.1:9"}
    verify = ("versions", "verify")
    return [
        Failure("crash", 1, prelude=_CRASH),
        Failure("unconfirmed", 3, ("full-train", "--rebuild", "--require-reload")),
        Failure("gate", 4, settings={"TRAIN_MIN_HOLDOUT_QUERIES": "5000"}),
        Failure("input", 10, prepare=lambda w: _write(w.canonical, "{")),
        Failure("locked", 11, prepare=lambda w: StoreLock(w.store, "full-train", "other")),
        Failure("damaged", 12, verify, prepare=lambda w: _write(_latest(w) / "meta.json", "{")),
        Failure("no disk", 13, prelude=_SMALL_FILES),
        Failure(
            "no hub",
            14,
            settings={**endpoint, "BASE_MODEL": "hub:nobody/nothing"},
            secrets=(canary("endpoint"),),
        ),
        Failure("code", 15, verify, prepare=lambda w: _write(_latest(w) / "model/x.py", "")),
        Failure("too large", 16, settings={"TRAIN_MAX_INPUT_BYTES": "10"}),
        Failure("stopped", 143, prelude=_STOP),
    ]


def _mistyped() -> list[Failure]:
    def refused(name: str, settings: Mapping[str, str] | None = None, *flags: str) -> Failure:
        arguments = ("full-train", *(each.replace("?", canary(name)) for each in flags))
        given = {key: text.replace("?", canary(name)) for key, text in (settings or {}).items()}
        return Failure(name, 2, arguments, given, secrets=(canary(name),))

    url = "ML_SERVICE_RELOAD_URL"
    return [
        refused("password in the URL", {url: "http://me:?@ml:8000/reload"}),
        refused("user in the URL", {url: "https://?@ml/reload"}),
        refused("no URL", {url: "ml:8000/reload;token=?"}),
        refused("blank in the URL", {url: "http://ml/reload?? token=?".replace("??", "%3F")}),
        refused("short secret", {"TRAIN_RELOAD_SECRET": "?"}),
        refused("no base64", {"TRAIN_RELOAD_SECRET": "whsec_?!"}),
        refused("second secret", {"TRAIN_RELOAD_SECRET": f"{webhook_secret('one')} ?"}),
        refused("control character", {"TRAIN_RELOAD_SECRET": "whsec_?\x07"}),
        refused("misspelled variable", {"TRAIN_RELOAD_SECRETS": "?"}),
        refused("set", None, "--set", "reload_secret=?"),
        refused("set without =", None, "--set", "reload_secret:?"),
        refused("set of another name", None, "--set", "reload_token=?"),
        refused("flag", None, "--reload-url", "http://me:?@ml/reload"),
        refused("no such flag", None, "--reload-secret", "?"),
        refused("no such flag with =", None, "--reload-secret=?"),
        refused("model with password", None, "--base-model", "https://me:?@hub/owner/name"),
        refused("model with token", None, "--base-model", "hub:owner/name%3Ftoken=?"),
        refused("model folder", None, "--base-model", "path:https://me:?@hub/name"),
        refused("number", {"MIN_ACCURACY": "https://me:?@h/"}),
    ]


def _in_the_file() -> list[Failure]:
    lines = {
        "file": "reload_secret: ?",
        "file, quote": 'reload_secret: "whsec_?',
        "file, list": "reload_secret: [?]",
        "file, tab": "reload_secret:\n\t?",
        "file, name": "reload-secret: ?",
        "file, no pair": "reload_secret=?",
        "file, anchor": "reload_secret: *?",
        "file, tag": "reload_secret: !? x",
        "file, twice": "reload_secret: ?\nreload_secret: ?",
    }
    return [
        Failure(
            name,
            2,
            settings={"TRAIN_RELOAD_SECRET": UNSET},
            secrets=(canary(name),),
            config=line.replace("?", canary(name)),
        )
        for name, line in lines.items()
    ]


def _no_failure() -> list[Failure]:
    rows = (("config",), ("smoke-test",), ("versions", "list"), ("history",), ("full-train",))
    return [Failure(" ".join(row), 0, row) for row in rows]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _latest(world: World) -> Path:
    return world.store / str(world.latest)


_CRASH = """
import os
import training_service.orchestrator as module

def crash(*_):
    try:
        raise ConnectionError(f"POST {os.environ['ML_SERVICE_RELOAD_URL']} via "
                              f"{os.environ['HTTP_PROXY']} and {os.environ['DATABASE_URL']}")
    except ConnectionError as cause:
        words = [f"{k}={v}" for k, v in os.environ.items() if "CRED" in k or "PASS" in k]
        raise RuntimeError(
            f"Authorization: Bearer {os.environ['HF_TOKEN']} {os.environ['TRAIN_RELOAD_SECRET']} "
            f"{' '.join(words)} api_key={os.environ['OPENAI_API_KEY']} "
            f"{os.environ['AWS_SECRET_ACCESS_KEY']} {os.environ['AWS_SESSION_TOKEN']}"
        ) from cause

module.TrainingOrchestrator._make = crash
"""
_SMALL_FILES = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
"""
_STOP = """
import os, training_service.release.version_manager as module
module.VersionManager.publish = lambda *_: os.kill(os.getpid(), 15)
"""
