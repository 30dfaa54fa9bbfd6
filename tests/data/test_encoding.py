import json

import numpy as np

from rnnbench.data.encoding import encode_archive, encode_word_index, to_offsets


def _texts(*texts):
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def test_an_archive_becomes_flat_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=_texts([1, 9], [5, 5, 5], []), y=np.array([7, 8, 9]))

    def arrange(read_array):
        x, y = read_array("x"), read_array("y")
        yield x[1:], y[1:]
        yield x[:1], y[:1]

    arrays = encode_archive(tmp_path / "a.npz", arrange)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "tokens": [1, 8, 8, 8, 1, 1, 4, 12],
        "offsets": [0, 4, 5, 8],
        "labels": [8, 9, 7],
        "samples": [2, 1],
    }
    assert arrays["tokens"].dtype == np.int32
    assert arrays["offsets"].dtype == arrays["labels"].dtype == np.int64


def test_a_word_index_is_sorted_by_token(tmp_path):
    path = tmp_path / "index.json"
    path.write_text(json.dumps({"film": 2, "ä": 1, "rare": 50}))
    arrays = encode_word_index(path)
    assert arrays["words"].tobytes().decode() == "ä\nfilm\nrare"
    assert arrays["tokens"].tolist() == [4, 5, 53]
    assert arrays["tokens"].dtype == np.int32


def test_offsets():
    assert to_offsets(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert to_offsets(np.array([], np.int64)).tolist() == [0]
