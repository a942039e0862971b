"""YAML text becomes texts, lists and mappings with their lines, and nothing is made of them.

A scalar is taken as it is spelled, so ``no``, ``012`` or ``2025-01-01`` is that very text. Tags
and aliases are refused: plain data needs neither, and one makes objects, the other makes a small
file large.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training_service.errors import shown

if TYPE_CHECKING:
    import yaml

_MAX_BRACKETS = 20
_PROBLEM_CHARS = 200
_CORE = "tag:yaml.org,2002:"
_NULL = f"{_CORE}null"


@dataclass(frozen=True)
class Scalar:
    """A text as it is spelled; ``None`` for nothing, ``~`` or ``null``."""

    text: str | None
    line: int


@dataclass(frozen=True)
class Listing:
    """A list."""

    items: tuple[Value, ...]
    line: int


@dataclass(frozen=True)
class Pairs:
    """A mapping as its (key, value) pairs in the order of the file, repeated keys included."""

    pairs: tuple[tuple[Value, Value], ...]
    line: int


Value = Scalar | Listing | Pairs


class YamlFault(Exception):
    """The text is no plain YAML; ``line`` counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        """Build the fault from what is wrong and where."""
        super().__init__(problem)
        self.problem = problem
        self.line = line


def parse(text: str) -> Value | None:
    """The one value in ``text``, ``None`` where there is none.

    Raises:
        YamlFault: anything the grammar refuses, a tag, an alias, or nesting too deep to be data.
    """
    import yaml  # costs 80 ms, which most commands need not pay

    line = 1
    try:
        loader = _loader()(text)
        try:
            root = loader.get_single_node()
        finally:
            line = int(loader.line) + 1
            loader.dispose()
        return None if root is None else _value(root)
    except yaml.YAMLError as error:
        raise _fault(error, text) from error
    except RecursionError as error:
        raise YamlFault("nested too deeply", line) from error
    except (ValueError, OverflowError) as error:
        # An escape beyond Unicode, or a version of YAML of some thousand digits.
        raise YamlFault("not valid YAML: a number is out of range", line) from error


def _loader() -> type[yaml.SafeLoader]:
    """A loader that only composes and never constructs; what is no plain data stops it."""
    import yaml  # see parse

    class Plain(yaml.SafeLoader):
        def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
            """Stop at deep brackets: the scanner's time grows with the square of their depth."""
            if self.flow_level >= _MAX_BRACKETS:
                raise RecursionError
            super().fetch_flow_collection_start(kind)

        def fetch_alias(self) -> None:
            raise self._no_data("an alias", "*")

        def fetch_anchor(self) -> None:
            raise self._no_data("an anchor", "&")

        def fetch_tag(self) -> None:
            raise self._no_data("a tag", "!")

        def _no_data(self, found: str, mark: str) -> YamlFault:
            problem = f"found {found}, expected plain data; quote a text that starts with {mark}"
            return YamlFault(problem, int(self.line) + 1)

    return Plain


def _value(node: yaml.Node) -> Value:
    import yaml  # see parse

    line = int(node.start_mark.line) + 1
    if isinstance(node, yaml.MappingNode):
        return Pairs(tuple((_value(key), _value(value)) for key, value in node.value), line)
    if isinstance(node, yaml.SequenceNode):
        return Listing(tuple(map(_value, node.value)), line)
    return Scalar(None if node.tag == _NULL else str(node.value), line)


def described(value: Value) -> str:
    """What ``value`` is, for a message: ``a list``, ``nothing``, ``the text "SWE"``."""
    if isinstance(value, Pairs):
        return "a mapping"
    if isinstance(value, Listing):
        return "a list"
    return "nothing" if value.text is None else f"the text {shown(value.text)}"


def _fault(error: yaml.YAMLError, text: str) -> YamlFault:
    mark = getattr(error, "problem_mark", None)
    position = getattr(error, "position", 0)  # what the reader has instead of a mark
    line = text.count("\n", 0, position) if mark is None else mark.line
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    problem = " ".join(problem.split())
    if len(problem) > _PROBLEM_CHARS:
        problem = problem[:_PROBLEM_CHARS] + "…"
    return YamlFault(f"not valid YAML: {problem}", line + 1)
