"""What happens inside a worker, each in a process of its own."""

import json
import subprocess
import sys

from paths import CONFIGS

from rnnbench.benchmark.protocol import Job
from rnnbench.config import load_config


def _python(code, given=""):
    done = subprocess.run(
        [sys.executable, "-c", code], input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_job_survives_its_way_to_the_worker():
    for path in sorted(CONFIGS.glob("*.yaml")):
        job = Job("keras", load_config(path), 4, 0)
        assert Job.from_line(job.to_line()) == job


def test_what_others_print_is_no_report():
    done = _python(
        "import os\n"
        "from rnnbench.benchmark.protocol import Turns\n"
        "turns = Turns()\n"
        "print('noise', flush=True)\n"
        "os.system('echo more noise')\n"
        "turns.report({'seconds': 1.5})\n"
    )
    assert done.stdout == '{"seconds": 1.5}\n'
    assert done.stderr == "noise\nmore noise\n"


def test_a_worker_ends_with_its_bench():
    job = Job("rnnbench", load_config(CONFIGS / "toy_gru.yaml"), 2, 0)
    done = _python("from rnnbench.benchmark import worker; worker.main()", f"{job.to_line()}\n")
    ready = json.loads(done.stdout)
    assert (ready["samples"], ready["tokens"]) == (6, 24)


def test_plain_keras_is_not_loaded_as_rnnbench_loads_it(monkeypatch):
    job = Job("keras", load_config(CONFIGS / "toy_gru.yaml"), 1, 0)
    monkeypatch.setenv("RNNBENCH_THREADS", "1")
    done = _python(
        "from rnnbench import backend\n"
        "from rnnbench.benchmark import worker\n"
        "try:\n    worker.main()\n"
        "except SystemExit:\n    assert backend.load.cache_info().currsize == 0\n",
        f"{job.to_line()}\n\n",
    )
    ready, epoch = map(json.loads, done.stdout.splitlines())
    assert ready["environment"]["threads"] == {"intra_op": 1, "inter_op": 1, "recurrences": 1}
    assert epoch["steps"] == 1
    assert 0 < epoch["train_seconds"] <= epoch["seconds"]
