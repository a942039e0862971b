"""The rules of the house that no linter knows: sizes, start-up imports, pinned packages."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
HEAVY = frozenset({"chromadb", "faiss", "pandas", "sentence_transformers", "sklearn", "torch"})


def _sources() -> list[Path]:
    folders = ("training_service", "tests", "benchmarks", "scripts")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _line_count(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def _requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    found = [Requirement(text) for group in (project["dependencies"], *extras) for text in group]
    return [each for each in found if each.name != project["name"]]  # an extra names others


def test_no_file_outgrows_the_house() -> None:
    """Every Python file has at most 300 lines."""
    sizes = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in _sources()}
    assert sizes, "no source was found"
    too_long = {str(p.relative_to(ROOT)): n for p, n in sizes.items() if n > MAX_FILE_LINES}
    assert too_long == {}


def test_no_function_outgrows_the_house() -> None:
    """Every function has at most 40 lines, its docstring included."""
    too_long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": _line_count(node)
        for path in _sources()
        for node in _functions(path)
        if _line_count(node) > MAX_FUNCTION_LINES
    }
    assert too_long == {}


def test_every_test_says_what_must_hold() -> None:
    """Every test has a docstring of one sentence."""
    wordless = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in _functions(path)
        if node.name.startswith("test_") and not (ast.get_docstring(node) or "").endswith(".")
    ]
    assert wordless == []


def test_help_imports_nothing_heavy() -> None:
    """``train --help`` answers without loading a library of data or models."""
    script = (
        "import sys\n"
        "from training_service.cli.main import main\n"
        "try:\n"
        "    code = main(['--help'])\n"
        "except SystemExit as stop:\n"
        "    code = stop.code\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        f"print('loaded:', sorted(tops & {set(HEAVY)!r}), 'code:', code or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "full-train" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded: [] code: 0"


@pytest.mark.parametrize("requirement", _requirements(), ids=lambda found: found.name)
def test_constraints_pin_what_the_project_asks_for(requirement: Requirement) -> None:
    """Each direct dependency is pinned in constraints.txt, to a version that pyproject allows."""
    pinned = _constraints().get(canonicalize_name(requirement.name))
    assert pinned is not None, f"{requirement.name} is missing from constraints.txt"
    assert requirement.specifier.contains(pinned, prereleases=True)


def test_bootstrap_is_plain_shell() -> None:
    """scripts/bootstrap parses under sh and names the release of torch that is pinned."""
    script = ROOT / "scripts" / "bootstrap"
    done = subprocess.run(
        ["sh", "-n", str(script)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+", _constraints()["torch"])


def test_bootstrap_refuses_a_build_of_torch_it_does_not_know(tmp_path: Path) -> None:
    """A mistyped TORCH_BUILD ends with exit code 2 before anything is made."""
    venv = tmp_path / "venv"
    done = subprocess.run(
        ["sh", str(ROOT / "scripts" / "bootstrap")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, "VENV": str(venv), "TORCH_BUILD": "gpu"},
    )
    assert done.returncode == 2
    assert done.stderr == (
        "bootstrap: error: TORCH_BUILD=gpu; use cpu, default, or a build such as cu130\n"
    )
    assert not venv.exists()
