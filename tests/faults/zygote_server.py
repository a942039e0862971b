"""A request on a Unix socket becomes a forked ``train`` that has every import behind it.

Started as ``python -m tests.faults.zygote_server SOCKET``. One connection is one trial: the
request comes as a line of JSON, the trial answers with its pid when it is ready, the server at its
end with the status of ``waitpid``. A held trial waits for one more byte before it begins, so that
a tracer sees nothing but the run. The server and all it started end with its standard input.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
import traceback
from typing import Any

import training_service
from tests.faults import forked_probe

# What `train` imports only once it runs, so that no trial pays for it; its own modules aside.
LAZY = (
    "encodings.idna",
    "encodings.utf_8_sig",
    "faiss",
    "numpy",
    "pydantic_settings",
    "requests",
    "rich.console",
    "rich.progress",
    "rich.table",
    "safetensors.numpy",
    "scipy.optimize",
    "scipy.special",
    "scipy.stats",
    "typer._click.decorators",
    "yaml",
)
_STDIN_CLOSED = b""
_MOST_FILES = 1024


def serve(path: str) -> None:
    """Answer requests until standard input ends, then kill what still runs."""
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(path)
        listener.listen(64)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        sys.stdout.write(f"ready {threading.active_count()}\n")
        sys.stdout.flush()
        running: dict[int, int] = {}
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    pid, connection = _forked(listener)
                    running[pid] = watched = os.pidfd_open(pid)
                    selector.register(watched, selectors.EVENT_READ, (pid, connection))
                elif key.data is not None:
                    selector.unregister(key.fileobj)
                    os.close(running.pop(key.data[0]))
                    _tell_the_end(*key.data)
                elif os.read(sys.stdin.fileno(), 1) == _STDIN_CLOSED:
                    _end(running)
                    return


def _forked(listener: socket.socket) -> tuple[int, socket.socket]:
    connection, _ = listener.accept()
    with connection.makefile("rb") as file:
        request = json.loads(file.readline())
    pid = os.fork()
    if not pid:
        _trial(connection, request)
    return pid, connection


def _tell_the_end(pid: int, connection: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    with connection, contextlib.suppress(OSError):  # whoever asked may be gone
        connection.sendall(json.dumps({"status": status}).encode() + b"\n")


def _end(running: dict[int, int]) -> None:
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _trial(connection: socket.socket, request: dict[str, Any]) -> None:
    """Become a process like one that a shell started, and run ``train`` in it; never returns."""
    code = 1
    try:
        os.setsid()
        os.closerange(3, connection.fileno())
        os.closerange(connection.fileno() + 1, _MOST_FILES)
        _redirect(request)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        connection.sendall(json.dumps({"pid": os.getpid()}).encode() + b"\n")
        if request["held"]:
            connection.recv(1)
        os.closerange(connection.detach(), _MOST_FILES)  # no close that a tracer would count
        if not request["has_own_interpreter"]:
            forked_probe.use()
        code = _run(request["arguments"], request["prelude"])
    except BaseException:  # noqa: BLE001 - the interpreter's own last resort, as in a real process
        traceback.print_exc()
    finally:
        os._exit(code)


def _redirect(request: dict[str, Any]) -> None:
    for name, wanted in (("/dev/null", 0), (request["out"], 1), (request["err"], 2)):
        flags = os.O_RDONLY if wanted == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(name, flags, 0o644)
        os.dup2(opened, wanted)
        os.close(opened)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        default = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if default else signal.SIG_DFL)


def _run(arguments: list[str], prelude: str) -> int:
    from training_service.cli.main import main

    if prelude:
        exec(compile(prelude, "<prelude>", "exec"), {})  # noqa: S102 - the test's own words
    sys.argv = ["train", *arguments]
    try:
        code = main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    atexit._run_exitfuncs()  # noqa: SLF001 - os._exit would pass over them
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return code or 120  # as the interpreter does
    return code


def main() -> None:
    """Import everything, start no thread, and serve."""
    own = pkgutil.walk_packages(training_service.__path__, "training_service.")
    for name in (*LAZY, *(each.name for each in own if not each.name.endswith("__main__"))):
        importlib.import_module(name)
    # At its end torch looks through the import path, which a real run, without torch, never does.
    if (torch := sys.modules.get("torch._dynamo.utils")) is not None:
        atexit.unregister(torch.dump_compile_times)
    gc.collect()
    gc.freeze()
    serve(sys.argv[1])


if __name__ == "__main__":
    main()
