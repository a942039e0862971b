"""Flags, environment variables and a YAML file become named raw values with their origin.

Every source speaks text: a YAML scalar is taken as it is spelled, so ``no``, ``012`` or
``2025-01-01`` mean in the file what they mean in an environment variable.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from training_service.errors import Fault, shown

if TYPE_CHECKING:
    import yaml

DEFAULT_CONFIG_FILE = Path("configs/training.yaml")
CONFIG_VARIABLE = "TRAIN_CONFIG"
PREFIX = "TRAIN_"

LEGACY_VARIABLES: Mapping[str, str] = {
    "base_model": "BASE_MODEL",
    "min_accuracy": "MIN_ACCURACY",
    "ml_service_reload_url": "ML_SERVICE_RELOAD_URL",
    "canonical_file": "CANONICAL_FILE",
    "feedback_file": "FEEDBACK_FILE",
    "model_store_base": "MODEL_STORE_BASE",
    "encoder_precision": "ENCODER_PRECISION",
    "target_precision": "TARGET_PRECISION",
    "ray_address": "RAY_ADDRESS",
}
"""Settings with a second name beside ``TRAIN_<NAME>``; both are read."""

FLAGS: Mapping[str, str] = {
    "canonical_file": "--canonical",
    "feedback_file": "--feedback",
    "model_store_base": "--store",
    "base_model": "--base-model",
    "min_accuracy": "--min-accuracy",
    "ml_service_reload_url": "--reload-url",
    "recipe": "--recipe",
    "engine": "--engine",
    "learn": "--learn",
    "learn_budget": "--learn-budget",
    "require_reload": "--require-reload",
    "rollback_on_reload_failure": "--rollback-on-reload-failure",
    "log_level": "--log-level",
    "log_format": "--log-format",
}
"""Settings with a flag of their own; every other one is given with ``--set``."""

_SECRETS = frozenset({"ml_service_reload_url", "reload_secret"})
_MAX_FILE_BYTES = 1 << 15
_MAX_BRACKETS = 20
_MOST_SUGGESTIONS = 100
_PROBLEM_CHARS = 200
# A name that YAML quotes from the file may be a secret; its words for tokens are no names.
_QUOTED = re.compile(r"(['\"])(?!<)[^'\"\s]{4,}\1")
_SCALAR_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")
)


def ray_environment() -> dict[str, str]:
    """The variables by which Ray finds and enters a cluster, for the process that drives it."""
    found = os.environ.items()
    return {name: value for name, value in found if name.startswith("RAY_") or name == "HOME"}


@dataclass(frozen=True)
class Given:
    """A value as it was given, before its type is known; ``None`` means given as nothing."""

    value: object
    origin: str


@dataclass
class Layer:
    """What one source says: values by setting name, what is wrong in it, what is worth telling."""

    values: dict[str, Given] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def give(self, name: str, value: object, origin: str) -> None:
        """Record a value; text is trimmed, and text that no file or log could hold is a fault."""
        if isinstance(value, str):
            value = value.strip() or None
            if value is not None and not _is_storable(value):
                found = shown("***" if name in _SECRETS else value)
                found = f"found {found}, expected text without control characters"
                self.faults.append(Fault(origin, found))
                return
        self.values[name] = Given(value, origin)

    def refuse(self, where: str, problem: str) -> None:
        """Record a fault."""
        self.faults.append(Fault(where, problem))

    def refuse_name(self, where: str, name: str, known: Collection[str], prefix: str = "") -> None:
        """Record that ``name`` is no setting; the first hundred times with the nearest one."""
        if len(self.faults) < _MOST_SUGGESTIONS:
            nearest = _nearest(name, known)
            spelled = prefix + nearest.upper() if prefix else nearest
            self.refuse(where, f"unknown setting; the nearest valid name is {spelled}")
        else:
            self.refuse(where, "unknown setting")


def _is_storable(text: str) -> bool:
    return not any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in text)


def environment_layer(environ: Mapping[str, str], names: Collection[str]) -> Layer:
    """Read ``TRAIN_<NAME>`` and the older names; an unknown ``TRAIN_*`` name is a fault."""
    layer = Layer()
    for name, variable in LEGACY_VARIABLES.items():
        if variable in environ:
            layer.give(name, environ[variable], f"environment {variable}")
    spelled = {PREFIX + name.upper(): name for name in names}
    for variable in sorted(v for v in environ if v.startswith(PREFIX) and v != CONFIG_VARIABLE):
        if variable not in spelled:
            where = f"environment {shown(variable)[1:-1]}"
            layer.refuse_name(where, variable.removeprefix(PREFIX), names, PREFIX)
            continue
        name = spelled[variable]
        legacy = LEGACY_VARIABLES.get(name, variable)
        if environ.get(legacy, environ[variable]) != environ[variable]:
            layer.notes.append(f"{variable} and {legacy} differ; {variable} is used")
        layer.give(name, environ[variable], f"environment {variable}")
    return layer


def flag_layer(
    flags: Mapping[str, object], assignments: Sequence[str], names: Collection[str]
) -> Layer:
    """Read the flags (``None``: not given) and the ``KEY=VALUE`` texts of ``--set``."""
    layer = Layer()
    for text in assignments:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals:
            # What is no name may be a secret that was meant to be the value.
            found = shown(text) if key in names else "a text without `=`"
            layer.refuse("flag --set", f"found {found}, expected KEY=VALUE")
        elif key not in names:
            layer.refuse_name(f"flag --set {shown(key)}", key, names)
        else:
            layer.give(key, value, f"flag --set {key}")
    for name, flag_value in flags.items():
        if flag_value is None:
            continue
        if name not in names:
            layer.refuse_name(f"flag {shown(name)}", name, names)
            continue
        flag = FLAGS.get(name, f"--set {name}")
        said = "yes" if flag_value is True else flag_value
        if name in layer.values and layer.values[name].value != said:
            layer.notes.append(f"{flag} and --set {name} differ; {flag} is used")
        layer.give(name, said, f"flag {flag}")
    return layer


def file_layer(path: Path, label: str, names: Collection[str]) -> Layer:
    """Read a YAML mapping of setting names to plain values; ``label`` names the file in messages.

    The file is only composed, never constructed: no tag can make an object.
    """
    import yaml  # costs 80 ms, and most runs of --help need no file

    layer = Layer()
    text = _file_text(path, label, layer)
    root = None if text is None else _root(text, label, layer)
    if isinstance(root, yaml.MappingNode):
        _take_pairs(root, label, names, layer)
    elif root is not None:
        layer.refuse(f"{label}:{_line(root)}", "expected `name: value` lines")
    return layer


def _file_text(path: Path, label: str, layer: Layer) -> str | None:
    data = b""
    try:
        # A device is recognised before it is opened: opening one can have effects of its own.
        if not stat.S_ISREG(path.stat().st_mode):
            layer.refuse(label, "not a regular file, expected a YAML file")
            return None
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
            size = max(len(data), os.fstat(file.fileno()).st_size)
        if size > _MAX_FILE_BYTES:
            layer.refuse(label, f"{size} bytes, expected at most {_MAX_FILE_BYTES}")
            return None
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        # The decoder counts from behind a mark that was taken away.
        start = len(data) - len(error.object) + error.start
        line = data.count(b"\n", 0, start) + 1
        problem = f"byte {start} is not UTF-8, expected a UTF-8 text file"
        layer.refuse(f"{label}:{line}", problem)
    except OSError as error:
        layer.refuse(label, f"cannot be read: {error.strerror}")
    except ValueError as error:
        layer.refuse(label, f"not a usable path ({error})")
    return None


def _root(text: str, label: str, layer: Layer) -> yaml.Node | None:
    """The one node of ``text``; ``None`` for an empty file, and for a fault, which is recorded."""
    import yaml  # see file_layer

    class Shallow(yaml.SafeLoader):
        """Stops at deep brackets: the scanner's time grows with the square of their depth."""

        def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
            if self.flow_level >= _MAX_BRACKETS:
                raise RecursionError
            super().fetch_flow_collection_start(kind)

    line = 0
    try:
        loader = Shallow(text)
        try:
            root: yaml.Node | None = loader.get_single_node()
        finally:
            line = loader.line + 1
            loader.dispose()
    except yaml.YAMLError as error:
        layer.refuse(*_yaml_fault(error, label, text))
    except RecursionError:
        layer.refuse(f"{label}:{line}", "nested too deeply, expected `name: value` lines")
    except (ValueError, OverflowError):
        # An escape beyond Unicode, or a version of YAML of some thousand digits.
        problem = "not valid YAML: a number is out of range; expected `name: value` lines"
        layer.refuse(f"{label}:{line}", problem)
    else:
        return root
    return None


def _take_pairs(root: yaml.MappingNode, label: str, names: Collection[str], layer: Layer) -> None:
    first_lines: dict[str, int] = {}
    for key, line, node in _pairs(root):
        where = f"{label}:{line}"
        if key in first_lines:
            problem = f"{shown(key)} is set twice, first in line {first_lines[key]}"
            layer.refuse(where, f"{problem}; keep one")
        elif key not in names:
            layer.refuse_name(f"{where} {shown(key)}", key, names)
        elif not isinstance(node.value, str) or node.tag not in _SCALAR_TAGS:
            tag = "a YAML tag" if key in _SECRETS else shown(node.tag)
            found = tag if isinstance(node.value, str) else "a list or mapping"
            layer.refuse(f"{where} {key}", f"found {found}, expected one plain value")
        else:
            is_null = node.tag == "tag:yaml.org,2002:null"
            layer.give(key, None if is_null else node.value, f"{where} {key}")
        first_lines.setdefault(key, line)


def _pairs(root: yaml.MappingNode) -> Iterator[tuple[str, int, yaml.Node]]:
    for key_node, value_node in root.value:
        key = key_node.value if isinstance(key_node.value, str) else "(a list or mapping)"
        yield key, _line(key_node), value_node


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _yaml_fault(error: yaml.YAMLError, label: str, text: str) -> tuple[str, str]:
    mark = getattr(error, "problem_mark", None)
    position = getattr(error, "position", 0)  # what the reader has instead of a mark
    line = text.count("\n", 0, position) if mark is None else mark.line
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    problem = _QUOTED.sub(r"\1***\1", problem)
    if len(problem) > _PROBLEM_CHARS:
        problem = problem[:_PROBLEM_CHARS] + "…"
    return f"{label}:{line + 1}", f"not valid YAML: {problem}; expected `name: value` lines"


def _nearest(name: str, names: Collection[str]) -> str:
    asked = name.lower().replace("-", "_")[:80]
    return get_close_matches(asked, sorted(names), n=1, cutoff=0.0)[0]
