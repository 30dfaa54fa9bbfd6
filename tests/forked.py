"""Processes that import no TensorFlow: each is forked from one that has, and has done no more.

As the trials of a sweep are. The import takes as long as a small training.
"""

import atexit
import multiprocessing
import os
import signal
import sys
import tempfile
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["keras", "rnnbench.training.trainer"])


def start(*arguments, cwd, **environment):
    """Start the command `rnnbench` in a directory, whose file `stderr` takes what it says.

    Returns:
        The process, a `multiprocessing.Process`.
    """
    process = _CONTEXT.Process(target=_command, args=(arguments, cwd, environment))
    process.start()
    return process


def run(script, **environment):
    """Run a script of Python to its end, and give the words that it prints."""
    with tempfile.NamedTemporaryFile() as file:
        process = _CONTEXT.Process(target=_script, args=(script, file.name, environment))
        process.start()
        process.join()
        assert process.exitcode == 0
        return Path(file.name).read_text().split()


def _redirect(stream, path):
    stream.flush()
    with open(path, "wb") as file:
        os.dup2(file.fileno(), stream.fileno())


def _command(arguments, cwd, environment):
    # The process that forks has turned Ctrl-C off.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment)
    os.chdir(cwd)
    _redirect(sys.stdout, os.devnull)
    _redirect(sys.stderr, "stderr")
    sys.argv = ["rnnbench", *map(str, arguments)]
    from rnnbench.__main__ import main

    main()


def _script(script, output, environment):
    os.environ.pop("TF_XLA_FLAGS", None)  # where the tests keep what they compile
    os.environ.update(environment)
    _redirect(sys.stdout, output)
    exec(script, {})
    # A process of `multiprocessing` ends without what is to be done at the end.
    atexit._run_exitfuncs()
