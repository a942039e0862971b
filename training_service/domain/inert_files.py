"""Names of files and lists of modules become what is refused unread: all that could run code."""

from __future__ import annotations

from pathlib import PurePosixPath

from training_service.domain.plain_json import parse_plain
from training_service.errors import Fault, shown

MODULES_FILE = "modules.json"

_CODE = frozenset(
    {
        *(".bin", ".ckpt", ".cloudpickle", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pth"),
        *(".dll", ".dylib", ".egg", ".py", ".pyc", ".pyd", ".pyz", ".so", ".whl"),
    }
)
_MODULE_PREFIX = "sentence_transformers."


def code_problem(name: str) -> str:
    """Why a file of this name is never opened, or nothing."""
    could_run = PurePosixPath(name).suffix.lower() in _CODE
    return "a file that can hold code, expected safetensors" if could_run else ""


def module_faults(data: bytes) -> list[Fault]:
    """The classes and paths of a ``modules.json`` that sentence-transformers should not load.

    Raises:
        ValueError: it is no list of modules, each with type and path.
    """
    faults = []
    for kind, place in _modules(data):
        if not kind.startswith(_MODULE_PREFIX):
            problem = f"found class {shown(kind)}, expected one of sentence_transformers"
            faults.append(Fault(MODULES_FILE, problem))
        path = PurePosixPath(place)
        if path.is_absolute() or ".." in path.parts or "\\" in place:
            faults.append(Fault(MODULES_FILE, f"path {shown(place)} leaves the folder"))
    return faults


def _modules(data: bytes) -> list[tuple[str, str]]:
    try:
        return [(str(each["type"]), str(each["path"])) for each in parse_plain(data)]
    except (ValueError, TypeError, KeyError) as error:
        found = shown(str(error))
        raise ValueError(f"found no list of modules with type and path ({found})") from error
