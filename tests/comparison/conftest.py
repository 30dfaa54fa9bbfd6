import pytest
from made_runs import make_run, make_seeds

from rnnbench.comparison.compare import compare


@pytest.fixture
def output(tmp_path):
    """A directory for made runs."""
    return tmp_path / "runs"


@pytest.fixture
def three_cells(output):
    """A comparison of three cells: two with five seeds, one with three; the last one the worst."""
    return compare(
        [
            *make_seeds(output, [0.88, 0.87, 0.89, 0.86, 0.90], "imdb_lstm", parameters=328_353),
            *make_seeds(output, [0.84, 0.82, 0.86, 0.80, 0.88], "imdb_gru", parameters=326_369),
            *make_seeds(output, [0.81, 0.83, 0.79], "imdb_simple_rnn"),
        ]
    )


@pytest.fixture
def one_run(output):
    """A comparison of a single run."""
    return compare([make_run(output)])
