"""The command line in processes that can be killed, without what an import of TensorFlow takes.

As the trials of a sweep, they are forked from a process that has imported it and started no device.
"""

import multiprocessing
import os
import signal
import sys

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["keras", "rnnbench.training.trainer"])


def start(*arguments, cwd, **environment):
    """Start `rnnbench ARGUMENTS` in a directory, where `stderr` takes its messages.

    Returns:
        The process, a `multiprocessing.Process`.
    """
    command = ["rnnbench", *map(str, arguments)]
    process = _CONTEXT.Process(target=_run, args=(command, str(cwd), environment))
    process.start()
    return process


def _run(command, directory, environment):
    # The process that forks has Python's own handler of Ctrl-C switched off.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(directory)
    os.environ.update(environment)
    sys.argv = command
    with open("stderr", "wb") as stderr:
        os.dup2(stderr.fileno(), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    from rnnbench.__main__ import main

    main()
