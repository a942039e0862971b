"""Names, links and model files that somebody might plant, and what lies around a store."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.worlds import World, tree

_STEPS = ("../", "..\\", "%2e%2e/", "%2e%2e%2f", "..%2f", "..;/", "....//", "．．/", "‥/", "/../")
_ENDS = ("x", "etc/passwd", "outside", "outside/kept.txt", "v20261120", "latest")
_ALONE = (
    *(
        "",
        " ",
        ".",
        "..",
        "...",
        "/",
        "//",
        "~",
        "~root",
        "-",
        "--",
        "-rf",
        "*",
        "?",
        "$HOME",
        "`id`",
    ),
    *("/etc/passwd", "/dev/null", "/dev/zero", "/proc/self/root", "//host/share", "file:///etc"),
    *("C:\\x", "\\\\host\\x", "con", "nul", "aux", "latest", ".staging", "runs", "promotions"),
    *(".lock", "v", "v2026", "v202611201", "V20261120", "v20261120 ", " v20261120", "v20261120\n"),
    *("v20261120.", "v20261120.0", "v20261120.1", "v20261120.01", "v20261120.-2", "v20261120.2.3"),
    *(
        "v20261120/",
        "v20261120/.",
        "./v20261120",
        "v20261120//",
        "v20261120/..",
        "v20261120/model",
    ),
    *("v20261120\0", "\0", "a\0b", "v2026\0.2", "v20261120\r\n", "v20261120\t", "\x1b[2J", "\x7f"),
    *("v20261120;ls", "v20261120|x", "v20261120&", "$(touch x)", "v20261120%00", "v20261120%0a"),
    *(
        "ｖ２０２６１１２０",
        "v２０２６１１２０",
        "v2026112０",
        "ν20261120",
        "v20261120․2",
        "v20261120。2",
    ),
    *(
        "v٢٠٢٦١١٢٠",
        "v20261120.٢",
        "v20261120\u200b",
        "\u202ev20261120",
        "v20261120\ufeff",
        "\ud800",
    ),
    *("v00000101", "v20261301", "v20260230", "v99999999", "v20261120." + "9" * 300),
    *("v" * 300, "x" * 5000, "../" * 100, "a/" * 200, "v20261120." + "9" * 5000),
)
NAMES: tuple[str, ...] = (
    *_ALONE,
    *(step + end for step in _STEPS for end in _ENDS),
    *(step * 6 + end for step in _STEPS for end in _ENDS),
    *(f"v20261120/{step}{_ENDS[0]}" for step in _STEPS),
)
"""None of them names a version."""


class Surroundings:
    """Everything beside a store that nothing may write, with content that invites it."""

    def __init__(self, world: World) -> None:
        """Make the folder ``outside`` beside ``world``."""
        self.folder = world.folder.parent / f"{world.folder.name}-outside"
        for name in ("folder", "folder/model", "folder/snapshot", "empty"):
            (self.folder / name).mkdir(parents=True)
        for name in ("kept.txt", "folder/.kept.tmp", "folder/.1-x.json.0a.tmp", "folder/a.json"):
            (self.folder / name).write_text("to be left alone\n", encoding="utf-8")
        for name in ("encoder.json", "hashing.json"):
            (self.folder / "folder" / "model" / name).write_text("{}", encoding="utf-8")
        self._was = self._now()

    def _now(self) -> dict[str, object]:
        modes = {str(path): path.lstat().st_mode for path in sorted(self.folder.rglob("*"))}
        return {**tree(self.folder), **modes}

    def changes(self) -> list[str]:
        """What was written, made, removed or given other permissions there."""
        now = self._now()
        return sorted(
            f"outside: {path} is another"
            for path in now.keys() | self._was.keys()
            if now.get(path) != self._was.get(path)
        )

    @property
    def targets(self) -> dict[str, Path]:
        """Where a planted link may lead."""
        return {
            "a file": self.folder / "kept.txt",
            "a folder": self.folder / "folder",
            "nothing": self.folder / "new",
        }


def replaced_by_link(path: Path, target: Path) -> None:
    """Put a link in the place of ``path``; what was there moves aside."""
    path.parent.mkdir(exist_ok=True)
    if os.path.lexists(path):
        path.rename(path.with_name(f"{path.name}.aside"))
    path.symlink_to(target)


class _Call:
    """Pickles to a call that makes the file ``canary``."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self._canary),))


Payload = Callable[[Path, Path], None]
"""Puts something hostile into a model folder; run, it would make the canary."""

_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".dill", ".py", ".pyc")
_PLACES = ("pytorch_model{}", "1_Pooling/x{}", ".hidden{}", "model.safetensors{}", "UPPER{}")
_CLASSES = (
    *("os.system", "builtins.eval", "subprocess.Popen", "evil.Evil", "", "transformers.AutoModel"),
    *(
        "sentence_transformersX.Y",
        "sentence-transformers.Y",
        " sentence_transformers.x",
        "torch.load",
    ),
)
_PATHS = ("..", "../x", "/etc", "a/../../b", "/", "1_Pooling/../../x")


def _code(name: str) -> Payload:
    def plant(folder: Path, canary: Path) -> None:
        path = folder / (name.upper() if "UPPER" in name else name)
        path.parent.mkdir(exist_ok=True)
        is_source = path.suffix.lower() == ".py"
        source = f"import os; os.mkdir({str(canary)!r})".encode()
        path.write_bytes(source if is_source else pickle.dumps(_Call(canary)))

    return plant


def _modules(kind: str, place: str) -> Payload:
    def plant(folder: Path, _canary: Path) -> None:
        modules = [{"idx": 0, "name": "0", "path": place, "type": kind}]
        (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")

    return plant


def _link(name: str, target: str) -> Payload:
    def plant(folder: Path, _canary: Path) -> None:
        replaced_by_link(folder / name, Path(target))

    return plant


def _payloads() -> Iterator[tuple[str, Payload]]:
    for suffix in _SUFFIXES:
        for place in _PLACES:
            name = place.format(suffix)
            yield name, _code(name)
    for kind in _CLASSES:
        yield f"class {kind}", _modules(kind, "")
    for place in _PATHS:
        yield f"path {place}", _modules("sentence_transformers.models.Transformer", place)
    for name, target in (
        ("vocab.txt", "/etc/passwd"),
        ("config.json", "../../secret.json"),
        ("1_Pooling", "/etc"),
        ("tokenizer.json", "/proc/self/environ"),
        ("model.safetensors", "/dev/zero"),
    ):
        yield f"{name} -> {target}", _link(name, target)


PAYLOADS: dict[str, Payload] = dict(_payloads())


def plain_model(folder: Path) -> Path:
    """A folder that looks like a model: refused only for what is planted in it."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    for name in ("config.json", "tokenizer.json", "modules.json"):
        (folder / name).write_text("[]" if name == "modules.json" else "{}", encoding="utf-8")
    return folder
