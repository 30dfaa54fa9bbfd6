import json


def test_a_run_against_a_config(rnnbench, in_toy):
    assert rnnbench("diff", "toy", "toy.yaml").out.endswith("and toy.yaml say the same\n")
    (in_toy / "other.yaml").write_text(
        (in_toy / "toy.yaml").read_text().replace("units: 4", "units: 5")
    )
    result = rnnbench("diff", "toy", "other.yaml", "--json")
    assert result.code == 0
    assert json.loads(result.out) == [
        {"key": "name", "a": "toy", "b": "other"},
        {"key": "model.layers.0.units", "a": 4, "b": 5},
    ]


def test_the_table_shows_what_one_side_lacks(rnnbench, in_tmp):
    rows = json.loads(rnnbench("diff", "imdb_lstm", "imdb_gru", "--json").out)
    assert rows == [
        {"key": "name", "a": "imdb_lstm", "b": "imdb_gru"},
        {"key": "model.layers.1.type", "a": "lstm", "b": "gru"},
        {"key": "model.layers.1.unit_forget_bias", "a": True},
        {"key": "model.layers.1.reset_after", "b": True},
    ]
    table = [line.split() for line in rnnbench("diff", "imdb_lstm", "imdb_gru").out.splitlines()]
    assert ["model.layers.1.unit_forget_bias", "true", "—"] in table


def test_what_is_no_config_is_refused(rnnbench, in_tmp):
    result = rnnbench("diff", "imdb_lstm", "nothing")
    assert result.code == 2
    assert "'nothing' is neither a config file nor a run nor a shipped config" in result.err
