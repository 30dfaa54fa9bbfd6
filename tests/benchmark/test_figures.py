from rnnbench.benchmark.figures import Figure, divide, summarise

LOADING = {"load_seconds": 0.5, "samples": 60, "tokens": 1200}
EPOCHS = [
    {"seconds": 11.0, "train_seconds": 9.0, "steps": 4, "peak_bytes": 650_000_000},
    {"seconds": 4.0, "train_seconds": 3.0, "steps": 4, "peak_bytes": 700_000_000},
    {"seconds": 3.0, "train_seconds": 2.0, "steps": 4, "peak_bytes": 700_500_000},
    {"seconds": 7.0, "train_seconds": 6.0, "steps": 4, "peak_bytes": 701_000_000},
]


def test_a_figure_says_its_middle_and_its_bounds():
    assert Figure((3.0, 1.0, 2.0, 5.0)).as_json() == {
        "median": 2.5,
        "min": 1.0,
        "max": 5.0,
        "values": [3.0, 1.0, 2.0, 5.0],
    }


def test_ratios_are_of_pairs():
    ratio = divide(Figure((6.0, 4.0, 9.0)), Figure((2.0, 4.0, 2.0)))
    # That of the medians, 6 / 2, is another.
    assert (ratio.values, ratio.median) == ((3.0, 1.0, 4.5), 3.0)


def test_the_first_epoch_and_evaluation_only_warm_up():
    evaluations = [{"seconds": 9.0}, {"seconds": 1.0}, {"seconds": 2.0}, {"seconds": 4.0}]
    figures = summarise(LOADING, EPOCHS, evaluations)
    assert {name: figure.values for name, figure in figures.items()} == {
        "epoch_seconds": (4.0, 3.0, 7.0),
        "step_milliseconds": (750.0, 500.0, 1500.0),
        "samples_per_second": (20.0, 30.0, 10.0),
        "tokens_per_second": (400.0, 600.0, 200.0),
        "load_seconds": (0.5,),
        "compile_seconds": (6.0,),
        "peak_megabytes": (701.0,),
        "evaluate_seconds": (1.0, 2.0, 4.0),
    }


def test_compiling_takes_no_less_than_nothing():
    quick = [EPOCHS[0] | {"train_seconds": 1.0}, *EPOCHS[1:]]
    figures = summarise(LOADING, quick, [])
    assert figures["compile_seconds"].values == (0.0,)
    assert "evaluate_seconds" not in figures
