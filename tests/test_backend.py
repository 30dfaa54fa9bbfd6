import os
import subprocess
import sys

import numpy as np
import pytest

from rnnbench import backend
from rnnbench.errors import InputError


def test_training_is_the_same_to_the_last_bit():
    """Many threads add up an embedding's gradient; the order they come in must not matter."""
    keras = backend.load()
    random = np.random.default_rng(0)
    # A few words are very frequent, as in any text: their gradients have many terms.
    x = random.zipf(1.3, size=(1024, 120)) % 9999 + 1
    y = random.integers(0, 2, size=1024)

    def weights():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((None,), dtype="int32"),
                keras.layers.Embedding(10000, 32, mask_zero=True),
                keras.layers.SimpleRNN(32),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.compile("rmsprop", "binary_crossentropy")
        for start in range(0, len(x), 128):
            model.train_on_batch(x[start : start + 128], y[start : start + 128])
        return b"".join(weight.tobytes() for weight in model.get_weights())

    assert len({weights() for _ in range(5)}) == 1


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "", "1025"])
def test_threads_must_be_a_whole_number(monkeypatch, value):
    monkeypatch.setenv("RNNBENCH_THREADS", value)
    with pytest.raises(InputError, match=f"RNNBENCH_THREADS: received '{value}'"):
        backend.requested_threads()


def test_threads_are_left_to_tensorflow_where_nothing_is_said(monkeypatch):
    monkeypatch.delenv("RNNBENCH_THREADS", raising=False)
    assert backend.requested_threads() is None
    monkeypatch.setenv("RNNBENCH_THREADS", "3")
    assert backend.requested_threads() == 3


def _python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_loading_is_silent_and_another_backend_is_not_taken():
    code = "from rnnbench import backend; k = backend.load(); print(k.backend.backend())"
    done = _python(code, KERAS_BACKEND="jax")
    assert (done.stdout, done.stderr) == ("tensorflow\n", "")


def test_a_keras_json_of_the_user_does_not_change_the_numbers(tmp_path):
    (tmp_path / "keras.json").write_text(
        '{"floatx": "float16", "backend": "jax", "epsilon": 0.1,'
        ' "image_data_format": "channels_first"}'
    )
    code = (
        "from rnnbench import backend; c = backend.load().config;"
        "print(c.floatx(), c.epsilon(), c.image_data_format())"
    )
    assert _python(code, KERAS_HOME=str(tmp_path)).stdout == "float32 1e-07 channels_last\n"


def test_what_fails_while_loading_is_shown():
    code = (
        "import os, sys\n"
        "from rnnbench import backend\n"
        "with backend._stderr_held_back():\n"
        "    os.write(2, b'the reason\\n')\n"
        "    raise ImportError('no tensorflow')\n"
    )
    assert "the reason\n" in _python(code).stderr
    quiet = code.replace("    raise ImportError('no tensorflow')\n", "")
    assert _python(quiet).stderr == ""


def test_a_cache_that_is_read_only_is_read(tmp_path, monkeypatch):
    """Keras goes to /tmp where it may not write; ours stays with the files that are there."""
    home = tmp_path / "home"
    (home / "datasets").mkdir(parents=True)
    (home / "datasets" / "file").write_text("x")
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    backend.keep_read_only_cache()
    view = os.environ["KERAS_HOME"]
    assert view != str(home)
    assert os.path.realpath(os.path.join(view, "datasets", "file")) == str(
        home / "datasets" / "file"
    )
