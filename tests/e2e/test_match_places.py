"""``train match`` where its input is odd, its output is in the way, or nobody reads to the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import ROOT
from tests.support.worlds import World, tree


def with_queries(world: World, count: int = 3) -> Path:
    """A file of queries in the world's folder."""
    path = world.folder / "asked.csv"
    path.write_text("query\n" + "".join(f"some text {i}\n" for i in range(count)))
    return path


@pytest.mark.parametrize("place", ["latest/x.csv", "manifest.json", "deep/er/x.csv"])
def test_output_never_lands_in_the_store(served: World, place: str) -> None:
    """A target among the versions is a usage error, and the store stays as it was."""
    asked, before = with_queries(served), tree(served.store)
    done = served.train("match", "--input", str(asked), "--output", str(served.store / place))
    assert (done.code, len(done.error_lines)) == (2, 1)
    assert "lies in the store" in done.err
    assert tree(served.store) == before


@pytest.mark.parametrize("target", ["/dev/stdout", "/dev/null", "."])
def test_output_replaces_no_device_and_no_folder(served: World, target: str) -> None:
    """What is no plain file is refused and not renamed over."""
    done = served.train("match", "--input", str(with_queries(served)), "--output", target)
    assert (done.code, len(done.error_lines)) == (2, 1)
    assert not Path("/dev/null").is_file()


def test_output_through_a_link_keeps_the_link(served: World) -> None:
    """The file that a link names gets the table; the link stays one."""
    real, link = served.folder / "real.csv", served.folder / "link.csv"
    real.write_text("old")
    link.symlink_to(real.name)
    done = served.train("match", "--input", str(with_queries(served)), "--output", str(link))
    assert done.code == 0
    assert link.is_symlink()
    assert real.read_text().startswith("query,rank,id")


def test_argument_that_is_no_text_is_a_usage_error(served_once: World) -> None:
    """Bytes that are not UTF-8 arrive as lone surrogates and are refused in one line."""
    done = served_once.train("match", os.fsdecode(b"\xff bad"))
    assert (done.code, len(done.error_lines)) == (2, 1)
    assert "not UTF-8" in done.err


def test_damaged_index_is_named_and_not_asked(served: World) -> None:
    """One changed byte in the index ends with 12 and the file's name."""
    path = served.store / "latest" / "index.faiss"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    done = served.train("match", "anything")
    assert done.code == 12
    assert "index.faiss" in done.err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_leaves_is_told_by_the_code(served: World, unbuffered: str) -> None:
    """A table cut short by its reader ends with 141, whether Python buffers or not."""
    asked = with_queries(served, 3000)
    environment = {**os.environ, **served.environment, "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "training_service", "match", "--input", str(asked)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(120) == 141
