"""Loading TensorFlow: quiet, deterministic, and with the threads that the user asks for."""

import os
import platform
import subprocess
import sys

import forked
import numpy as np
import pytest

import rnnbench
from rnnbench import tensorflow
from rnnbench.errors import InputError


def test_training_is_the_same_to_the_last_bit():
    """Many threads add up an embedding's gradient; the order they come in must not matter."""
    keras = tensorflow.load()
    random = np.random.default_rng(0)
    # A few words are very frequent, as in any text: their gradients have many terms.
    x = random.zipf(1.3, size=(1024, 120)) % 9999 + 1
    y = random.integers(0, 2, size=1024)

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
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    drawn = [variable.numpy() for variable in variables]

    def weights():
        for variable, value in zip(variables, drawn, strict=True):
            variable.assign(value)
        for start in range(0, len(x), 128):
            model.train_on_batch(x[start : start + 128], y[start : start + 128])
        return b"".join(weight.tobytes() for weight in model.get_weights())

    assert len({weights() for _ in range(5)}) == 1


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "", "1025"])
def test_threads_must_be_an_integer(monkeypatch, value):
    monkeypatch.setenv(tensorflow.THREADS_VARIABLE, value)
    with pytest.raises(InputError, match=f"RNNBENCH_THREADS: received '{value}'; allowed: an int"):
        tensorflow.requested_threads()


def test_threads_of_five_thousand_digits_are_refused(monkeypatch):
    monkeypatch.setenv("RNNBENCH_THREADS", "9" * 5000)
    with pytest.raises(InputError, match=r"received '9{27}\.\.\.'; allowed: an integer from 1 to"):
        tensorflow.requested_threads()


def test_threads_are_left_to_tensorflow_where_nothing_is_said(monkeypatch):
    monkeypatch.delenv("RNNBENCH_THREADS", raising=False)
    assert tensorflow.requested_threads() is None
    monkeypatch.setenv("RNNBENCH_THREADS", "3")
    assert tensorflow.requested_threads() == 3


def test_cpus_are_those_that_the_process_may_use(monkeypatch):
    usable = tensorflow.usable_cpus()
    assert 1 <= usable <= os.cpu_count()
    assert tensorflow.num_threads() in (usable, tensorflow.requested_threads())
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5, 7}, raising=False)
    assert tensorflow.usable_cpus() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert tensorflow.usable_cpus() == os.cpu_count()


def _python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", f"from rnnbench import tensorflow\n{code}"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_loading_is_silent_and_what_the_user_sets_for_keras_does_not_count(tmp_path):
    (tmp_path / "keras.json").write_text(
        '{"floatx": "float16", "backend": "jax", "epsilon": 0.1,'
        ' "image_data_format": "channels_first"}'
    )
    code = (
        "k = tensorflow.load(); c = k.config\n"
        "print(k.backend.backend(), c.floatx(), c.epsilon(), c.image_data_format())\n"
        "print(tensorflow.describe_environment()['threads'])"
    )
    environment = {"KERAS_BACKEND": "jax", "KERAS_HOME": str(tmp_path), "RNNBENCH_THREADS": "1"}
    done = _python(code, **environment)
    assert done.stderr == ""
    assert done.stdout == (
        "tensorflow float32 1e-07 channels_last\n{'intra_op': 1, 'inter_op': 1, 'recurrences': 1}\n"
    )


def test_importing_the_module_loads_nothing():
    code = "import sys; print({'keras', 'numpy', 'tensorflow'} & set(sys.modules))"
    assert _python(code).stdout == "set()\n"


def test_what_fails_while_loading_is_shown():
    code = (
        "import os\n"
        "with tensorflow._hold_back_stderr():\n"
        "    os.write(2, b'the reason\\n')\n"
        "    raise ImportError('no tensorflow')\n"
    )
    assert "the reason\n" in _python(code).stderr
    quiet = code.replace("    raise ImportError('no tensorflow')\n", "")
    assert _python(quiet).stderr == ""


def test_lines_of_cpp_parts_reach_the_log_of_a_run_alone(tmp_path):
    """Descriptor 2 is theirs: Python's messages have another one."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from rnnbench import cli\n"
        "cli._prepare_streams()\n"
        "tensorflow.load()\n"
        "os.write(2, b'dropped\\n')\n"
        "with tensorflow.native_log(Path('train.log')):\n"
        "    os.write(2, b'logged\\n')\n"
        "    print('shown', file=sys.stderr)\n"
        "os.write(2, b'dropped\\n')\n"
        "raise ValueError('shown too')\n"
    )
    (tmp_path / "train.log").write_text("before\n")
    done = _python(f"import os; os.chdir({str(tmp_path)!r})\n{code}")
    assert done.stderr.startswith("shown\nTraceback")
    assert done.stderr.endswith("ValueError: shown too\n")
    assert "dropped" not in done.stderr
    assert (tmp_path / "train.log").read_text() == "before\nlogged\n"


def test_a_program_that_uses_the_package_keeps_its_descriptors(tmp_path):
    code = (
        "import os\n"
        "from pathlib import Path\n"
        f"with tensorflow.native_log(Path({str(tmp_path / 'log')!r})):\n"
        "    os.write(2, b'shown\\n')\n"
    )
    assert _python(code).stderr == "shown\n"
    assert not (tmp_path / "log").exists()


def test_a_cache_that_is_read_only_is_read(tmp_path, monkeypatch):
    """Keras goes to /tmp where it may not write; ours stays with the files that are there."""
    home = tmp_path / "home"
    (home / "datasets").mkdir(parents=True)
    (home / "datasets" / "file").write_text("x")
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    tensorflow.keep_read_only_cache()
    view = tensorflow.keras_home()
    assert view != home
    assert (view / "datasets" / "file").resolve() == home / "datasets" / "file"


def _git(*arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def test_the_environment_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = tensorflow.describe_environment()
    assert list(found) == ["versions", "platform", "device", "threads", "git"]
    assert list(found["versions"]) == ["rnnbench", "keras", "tensorflow", "python"]
    assert found["versions"]["rnnbench"] == rnnbench.__version__
    assert found["versions"]["python"] == platform.python_version()
    assert found["threads"]["recurrences"] == tensorflow.num_threads()
    assert found["git"] is None
    _git("init")
    assert tensorflow.describe_environment()["git"] is None  # no commit yet
    _git("commit", "--allow-empty", "-m", "m")
    state = tensorflow.describe_environment()["git"]
    assert (len(state["commit"]), state["dirty"]) == (40, False)
    (tmp_path / "new").write_text("x")
    assert tensorflow.describe_environment()["git"] == state | {"dirty": True}


COMPILE = """\
import os
from pathlib import Path
from rnnbench import tensorflow
tensorflow.load()
import tensorflow as tf
view = Path(os.environ["TF_XLA_FLAGS"].split()[0].partition("=")[2])
print(len(list(view.iterdir())))
print(tf.function(lambda x: 2 * x + 1, jit_compile=True)(tf.constant(3.0)).numpy())
"""


TRAIN = """\
from rnnbench.tensorflow import load
load()
import tensorflow as tf
from rnnbench.kernels import FastGRU
layer = FastGRU(batch_size=4, units=2)
layer.build((None, None, 3))
@tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None, 3))])
def run(x):
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x))
    return tape.gradient(total, layer.trainable_variables)
for timesteps in (20, 40, 70, 128):
    run(tf.ones((4, timesteps, 3)))
"""


@pytest.fixture
def compile_once(tmp_path):
    """Compiles code in a process of its own; gives the files of code it found, and the result."""

    def compile_once(cache=tmp_path):
        found, result = forked.run(COMPILE, RNNBENCH_CACHE=str(cache))
        return int(found), float(result)

    return compile_once


def test_compiled_code_is_kept_for_the_next_process_and_a_damaged_file_is_not_used(
    tmp_path, compile_once
):
    assert compile_once() == (0, 7.0)
    (file,) = tmp_path.glob("xla-*/*")
    assert compile_once() == (1, 7.0)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    assert compile_once() == (0, 7.0)
    assert compile_once() == (1, 7.0)
    file.write_bytes(b"")
    assert compile_once() == (0, 7.0)


def test_where_compiled_code_cannot_be_kept_it_is_compiled_each_time(tmp_path, compile_once):
    (tmp_path / "file").write_text("mine")
    assert compile_once(tmp_path / "file") == (0, 7.0)
    assert (tmp_path / "file").read_text() == "mine"


def test_forward_and_backward_pass_are_compiled_once_for_each_length_of_a_block(tmp_path):
    """The batches are of different lengths, and their blocks of one."""
    assert forked.run(TRAIN, RNNBENCH_CACHE=str(tmp_path)) == []
    assert len(list(tmp_path.glob("xla-*/*"))) == 2
