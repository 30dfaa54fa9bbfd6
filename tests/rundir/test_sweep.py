import pytest
from made_runs import make_sweep

from rnnbench.errors import RunError
from rnnbench.rundir import SweepDirectory


def test_a_directory_is_made_once_and_never_emptied(tmp_path):
    sweep = SweepDirectory(tmp_path / "runs" / "widths")
    sweep.make()
    sweep.log("toy", 3).touch()
    sweep.make()
    assert sweep.log("toy", 3).relative_to(sweep.path).as_posix() == "logs/toy-s3.log"
    assert sweep.log("toy", 3).exists()
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="a sweep's directory cannot be made"):
        SweepDirectory(tmp_path / "file").make()


def test_one_process_leads_a_sweep(tmp_path):
    sweep = SweepDirectory(tmp_path)
    with (
        sweep.locked(),
        pytest.raises(RunError, match="another process is leading this sweep"),
        sweep.locked(),
    ):
        pass


def test_trials_are_in_the_order_of_the_plan(tmp_path):
    trials = [("toy-units-8", 1), ("toy-units-4", 0), ("toy-units-8", 0)]
    assert make_sweep(tmp_path, "widths", trials).trials() == trials


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "not valid JSON"),
        ("[]", "received list, expected an object"),
        ("{}", "trials: received None, expected a list"),
        ('{"trials": [], "threads": "x"}', "threads: received 'x', expected a whole number"),
        ('{"trials": [], "threads": 0}', "threads: received 0, expected a whole number"),
        ('{"trials": [], "command": 5}', "command: received 5, expected a list of words"),
        ('{"trials": [], "command": [5]}', r"command: received \[5\], expected a list of words"),
        ('{"trials": 3}', "trials: received 3, expected a list"),
        ('{"trials": ["toy"]}', r"trials\.0: received 'toy', expected a name, and a whole number"),
        ('{"trials": [{"name": "toy"}]}', r"trials\.0: received \{'name': 'toy'\}"),
        ('{"trials": [{"name": "toy", "seed": "x"}]}', r"trials\.0: .*'seed': 'x'"),
        ('{"trials": [{"name": "toy", "seed": 0}, {"name": 3, "seed": 0}]}', r"trials\.1: "),
    ],
)
def test_a_damaged_plan_is_named(tmp_path, text, said):
    sweep = SweepDirectory(tmp_path)
    if text is not None:
        sweep.plan.write_text(text)
    with pytest.raises(RunError, match=rf"sweep\.json: .*{said}"):
        sweep.runs()
