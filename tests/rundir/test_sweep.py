import pytest

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


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        "[]",
        '{"trials": 3}',
        '{"trials": ["toy"]}',
        '{"trials": [{"name": "toy"}]}',
        '{"trials": [{"name": "toy", "seed": "x"}]}',
    ],
)
def test_a_damaged_plan_is_named(tmp_path, text):
    sweep = SweepDirectory(tmp_path)
    sweep.plan.write_text(text)
    with pytest.raises(RunError, match=r"sweep\.json: "):
        sweep.runs()
