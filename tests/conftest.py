"""What every test stands on: no setting of this machine leaks in, and nothing leaves it.

Vendor libraries read part of their environment when they are imported, so that part is set here,
before any test module is. All else is put right around each test.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests.support.environment import LEGACY_SETTINGS

pytest_plugins = ["tests.support.world_fixtures"]

TERMINAL_SETTINGS = ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "TTY_COMPATIBLE")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

_caches = tempfile.TemporaryDirectory(prefix="training-service-tests-")

os.environ.update(
    {
        "ANONYMIZED_TELEMETRY": "False",
        "HF_HOME": str(Path(_caches.name) / "huggingface"),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        "OPENBLAS_THREAD_TIMEOUT": "4",  # as `train` has it: idle threads that spin take cores
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_OFFLINE": "1",
        "XDG_CACHE_HOME": _caches.name,
    }
)

hypothesis.settings.register_profile(
    "house", database=None, deadline=None, derandomize=True, max_examples=30
)
hypothesis.settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--sweep full`` runs the sweeps of tests/faults whole; by default a fast part of each."""
    help_text = "how thorough the sweeps of tests/faults are"
    parser.addoption("--sweep", choices=("fast", "full"), default="fast", help=help_text)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of ours and no proxy or terminal setting of this machine is set."""
    ours = [name for name in os.environ if name.upper().startswith("TRAIN_")]
    for name in (*ours, *LEGACY_SETTINGS, *TERMINAL_SETTINGS, *PROXIES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections reach this machine only; a name outside it does not resolve."""
    resolve = socket.getaddrinfo
    connect = socket.socket.connect

    def guarded_resolve(host: object, *args: object, **kwargs: object) -> object:
        if not _is_loopback(host):
            raise socket.gaierror(socket.EAI_NONAME, f"tests do not ask for {host!r}")
        return resolve(host, *args, **kwargs)  # type: ignore[arg-type]  # passed on as it came

    def guarded_connect(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise ConnectionRefusedError(f"tests do not connect to {address!r}")
        connect(self, address)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(socket, "getaddrinfo", guarded_resolve)
    monkeypatch.setattr(socket.socket, "connect", guarded_connect)


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    """Logging, the one thing that is configured for the whole process, is as at the start."""
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def _is_loopback(host: object) -> bool:
    if host is None or host in {"localhost", "", b"localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False
