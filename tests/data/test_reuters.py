import keras

from rnnbench.data.reuters import TOPICS, Reuters


def test_topics_are_those_of_keras():
    assert keras.datasets.reuters.get_label_names() == TOPICS
    assert len(set(TOPICS)) == 46


def test_load(standin_data):
    dataset = Reuters(type="reuters", num_words=30, maxlen=8, validation_split=0.5).load()
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 60, "validation": 60, "test": 30}
    assert dataset.info.task.class_names[3] == "earn"
