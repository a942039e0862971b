"""The ML service in docs/ml-service.md, run as it stands there, against a store of today."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from training_service.domain.run import RunReport
from training_service.orchestrator import Request
from training_service.settings import TrainingConfig
from training_service.settings_loading import load_settings
from training_service.wiring import manual_promotion
from training_service.wiring.training import orchestrator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ml-service.md"
VOCABULARY = {
    "Software Engineer": ["SWE", "software developer"],
    "Registered Nurse": ["RN", "staff nurse"],
    "Chef": ["head cook", "chef de cuisine"],
}


def _code() -> str:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def _config(folder: Path, reload_url: str) -> TrainingConfig:
    (folder / "canonical.json").write_text(json.dumps(VOCABULARY))
    flags = {
        "canonical_file": "canonical.json",
        "model_store_base": "store",
        "base_model": "hashing:64",
        "chroma": "no",
        "cache_dir": "",
        "ml_service_reload_url": reload_url,
    }
    return load_settings(flags, {}, cwd=folder).config


def _built(config: TrainingConfig) -> RunReport:
    return orchestrator(config).run("build-index", Request(rebuild=True))


@contextmanager
def _service(folder: Path) -> Iterator[tuple[str, int]]:
    """The service in a process of its own: the version it said it serves, and its port."""
    script = folder / "service.py"
    script.write_text(_code())
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder / "store"), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder)},
    )
    try:
        assert process.stdout is not None
        said = re.fullmatch(r"(\S+) on port (\d+)\n", process.stdout.readline())
        assert said is not None
        yield said[1], int(said[2])
    finally:
        process.kill()
        process.communicate(timeout=10)


def _post(port: int, path: str, body: bytes) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose store has one version in service."""
    config = _config(tmp_path, "")
    manual_promotion(config).promote(_built(config).version, "to begin with")
    return tmp_path


def test_the_example_is_about_forty_lines() -> None:
    """The service is short enough to be read at once, as the page and the README say."""
    lines = [line for line in _code().splitlines() if line.strip()]
    assert 30 <= len(lines) <= 40


def test_the_example_serves_reloads_and_confirms(folder: Path) -> None:
    """It answers from ``latest``, and confirms to the notifier when a new version is promoted."""
    first = (folder / "store" / "latest").readlink().name
    with _service(folder) as (serving, port):
        assert serving == first
        status, answer = _post(port, "/match", json.dumps({"texts": ["SWE", "RN"]}).encode())
        config = _config(folder, f"http://127.0.0.1:{port}/reload")
        second = _built(config).version
        assert _post(port, "/match", b'{"texts": ["SWE"]}')[1]["version"] == first
        switched = manual_promotion(config).promote(second, "newer")
        after = _post(port, "/match", b'{"texts": ["SWE"]}')[1]["version"]
    assert (status, answer["version"]) == (200, first)
    firsts = [match["candidates"][0]["id"] for match in answer["matches"]]
    assert firsts == ["Software Engineer", "Registered Nurse"]
    assert (switched.reload.outcome, switched.reload.attempts) == ("confirmed", 1)
    assert not (folder / "store" / "pending_reload.json").exists()
    assert after == second != first


def test_the_example_keeps_serving_when_a_reload_fails(folder: Path) -> None:
    """A version that cannot be loaded is answered with 500, and the old one goes on serving."""
    latest = folder / "store" / "latest"
    first = latest.readlink()
    with _service(folder) as (_, port):
        latest.unlink()
        latest.symlink_to("v20000101")
        assert _post(port, "/reload", b"{}")[0] == 500
        assert _post(port, "/match", b"no JSON")[0] == 500
        status, answer = _post(port, "/match", b'{"texts": ["head cook"]}')
    assert (status, answer["version"]) == (200, str(first))
    assert answer["matches"][0]["candidates"][0]["id"] == "Chef"
