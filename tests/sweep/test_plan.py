import json
from dataclasses import replace

import pytest

from rnnbench.config import load_run_config
from rnnbench.errors import ConfigError, RunError
from rnnbench.sweep.plan import check_plan, create_plan, make_trials

COMMAND = ["rnnbench", "sweep", "toy.yaml"]


def _trials(candidates, *vary, seeds=1):
    return make_trials([(candidates(*vary), seeds)])[0]


def _names(trials):
    return [(trial.name, trial.seed) for trial in trials]


def test_every_candidate_has_its_first_seed_before_any_has_its_second(candidates):
    trials = _trials(candidates, "model.layers.0.type=simple_rnn,gru", seeds=2)
    assert _names(trials) == [
        ("toy-type-simple_rnn", 0),
        ("toy-type-gru", 0),
        ("toy-type-simple_rnn", 1),
        ("toy-type-gru", 1),
    ]
    assert [trial.settings for trial in trials[:2]] == [
        {"model.layers.0.type": "simple_rnn"},
        {"model.layers.0.type": "gru"},
    ]
    assert trials[0].label == "toy-type-simple_rnn seed 0"


def test_seeds_count_up_from_the_configs(candidates):
    assert _names(_trials(candidates, "seed=7", seeds=2)) == [("toy-seed-7", 7), ("toy-seed-7", 8)]


def test_names_are_those_of_configs(candidates):
    (trial,) = _trials(candidates, "training.metrics=[mse,mae]", "training.epochs=2")
    assert trial.name == "toy-metrics-mse-mae-epochs-2"


def test_an_exponent_keeps_its_sign(candidates):
    trials = _trials(candidates, "training.optimizer.learning_rate=1e-1,1e+1,1e+30")
    assert [t.name for t in trials] == [
        f"toy-learning_rate-{value}" for value in ("1e-1", "1e1", "1e30")
    ]


def test_long_names_are_cut_and_stay_apart(candidates):
    trials = _trials(
        candidates,
        *(f"model.layers.0.{key}=0.125" for key in ("dropout", "recurrent_dropout")),
        "training.optimizer.learning_rate=0.00123456,0.00123457",
        "training.optimizer.beta_1=0.912345678912",
        "training.optimizer.beta_2=0.912345678912",
    )
    names = {trial.name for trial in trials}
    assert len(names) == 2
    assert {len(name) for name in names} == {100}


def test_a_candidate_given_twice_is_refused(candidates):
    with pytest.raises(ConfigError, match="toy type=gru: is given twice"):
        _trials(candidates, "model.layers.0.type=gru,gru")


def test_two_configs_of_one_name_are_refused(candidates):
    (other,) = candidates("training.epochs=2")
    other = replace(other, settings={}, texts={})
    with pytest.raises(ConfigError, match="toy: names two configs"):
        make_trials([(candidates(), 1), ([other], 1)])


def test_a_plan_is_created_with_the_config_of_each_trial(candidates, sweep):
    trials = _trials(candidates, "model.layers.0.type=simple_rnn,gru", seeds=2)
    assert check_plan(sweep, trials, 3) == 3
    assert not sweep.path.exists()
    create_plan(sweep, trials, 3, COMMAND)
    assert sweep.trials() == [(trial.name, trial.seed) for trial in trials]
    written = json.loads(sweep.plan_file.read_text())
    assert written["command"] == COMMAND
    assert written["threads"] == 3
    assert written["trials"][1] == {
        "name": "toy-type-gru",
        "seed": 0,
        "settings": {"model.layers.0.type": "gru"},
    }
    assert load_run_config(sweep.config_file("toy-type-gru")) == trials[1].config


def test_a_sweep_that_goes_on_keeps_its_threads_its_command_and_its_time(candidates, sweep):
    trials = _trials(candidates, "model.layers.0.type=simple_rnn,gru")
    create_plan(sweep, trials, 2, COMMAND)
    before = sweep.read_plan()
    assert check_plan(sweep, trials, 1) == 2
    create_plan(sweep, trials, 1, ["rnnbench", "sweep", "again"])
    assert sweep.read_plan() == before


def test_a_sweep_may_get_more_seeds_and_values(candidates, sweep):
    create_plan(sweep, _trials(candidates, "model.layers.0.type=gru"), 1, COMMAND)
    more = _trials(candidates, "model.layers.0.type=gru,lstm", seeds=2)
    create_plan(sweep, more, 1, COMMAND)
    assert len(sweep.read_plan()["trials"]) == 4


def test_a_sweep_does_not_lose_trials(candidates, sweep):
    create_plan(sweep, _trials(candidates, "model.layers.0.type=gru,lstm"), 1, COMMAND)
    with pytest.raises(RunError, match=r"other trials, such as toy-type-lstm seed 0.*--name"):
        create_plan(sweep, _trials(candidates, "model.layers.0.type=gru"), 1, COMMAND)


def test_a_trial_keeps_its_config(candidates, sweep, tmp_path):
    create_plan(sweep, _trials(candidates, "model.layers.0.type=gru"), 1, COMMAND)
    toy = tmp_path / "toy.yaml"
    toy.write_text(toy.read_text().replace("epochs: 3", "epochs: 4"))
    before = sweep.config_file("toy-type-gru").read_text()
    with pytest.raises(RunError, match=r"another config of toy-type-gru.*--name"):
        create_plan(sweep, _trials(candidates, "model.layers.0.type=gru"), 1, COMMAND)
    assert sweep.config_file("toy-type-gru").read_text() == before


def test_a_directory_with_something_else_is_left_alone(candidates, sweep):
    sweep.path.mkdir(parents=True)
    (sweep.path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="already exists and is not a sweep; use another --name"):
        create_plan(sweep, _trials(candidates), 1, COMMAND)
    assert [path.name for path in sweep.path.iterdir()] == ["thesis.tex"]


def test_a_sweep_that_was_cut_off_before_its_plan_was_written_can_be_created(candidates, sweep):
    trials = _trials(candidates)
    create_plan(sweep, trials, 1, COMMAND)
    sweep.plan_file.unlink()
    create_plan(sweep, trials, 1, COMMAND)
    assert sweep.trials() == [(trial.name, trial.seed) for trial in trials]


def test_what_is_refused_leaves_no_config_behind(candidates, sweep, tmp_path):
    create_plan(sweep, _trials(candidates, "model.layers.0.type=gru"), 1, COMMAND)
    toy, before = tmp_path / "toy.yaml", sorted(sweep.path.iterdir())
    text = toy.read_text()
    toy.write_text(text.replace("epochs: 3", "epochs: 4"))
    with pytest.raises(RunError, match="another config of toy-type-gru"):
        create_plan(sweep, _trials(candidates, "model.layers.0.type=lstm,gru"), 1, COMMAND)
    assert sorted(sweep.path.iterdir()) == before
    toy.write_text(text)
    create_plan(sweep, _trials(candidates, "model.layers.0.type=lstm,gru"), 1, COMMAND)


def test_the_config_of_a_trial_has_its_first_seed(candidates, sweep):
    create_plan(sweep, _trials(candidates, seeds=3), 1, COMMAND)
    assert load_run_config(sweep.config_file("toy")).seed == 0


def test_seeds_that_there_are_not_are_refused(candidates):
    with pytest.raises(ConfigError, match="after the seed 4294967294 there are 1 more"):
        _trials(candidates, "seed=4294967294", seeds=3)


def test_more_trials_than_can_be_meant_are_refused(candidates):
    with pytest.raises(ConfigError, match=r"received 20,000 trials; allowed: 10,000\."):
        _trials(candidates, "model.layers.0.type=gru,lstm", seeds=10_000)


def test_a_sweep_of_an_earlier_version_can_be_continued(candidates, sweep):
    trials = _trials(candidates)
    create_plan(sweep, trials, 1, COMMAND)
    path = sweep.config_file("toy")
    path.write_text(path.read_text().replace("backend:", "implementation:"))
    sweep.write_plan(sweep.read_plan() | {"note": "kept"})
    assert check_plan(sweep, trials, 2) == 1
    create_plan(sweep, trials, 2, COMMAND)
    assert sweep.read_plan()["note"] == "kept"
