"""The classifier knows the digits, is kept in a file, and its features tell digits from noise."""

import pytest
import torch
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.data.pictures import digits
from gymagine.generative.metrics.feature_distances import frechet_distance, kernel_distance
from gymagine.generative.metrics.features import PictureClassifier, picture_classifier
from gymagine.generative.metrics.neighbourhoods import density_coverage, precision_recall
from torch.testing import assert_close


@pytest.fixture(scope="module")
def trained():
    data = digits("scaled", labels=True)
    return data, picture_classifier(data, num_updates=250, num_threads=1)


def grey(data, x, seed=0):
    return data.prepare.grey(data.prepared(x, torch.Generator().manual_seed(seed)))


def test_unseen_digits_are_recognised(trained):
    data, classifier = trained
    labels = data.test.context.argmax(dim=1)
    assert classifier.accuracy(grey(data, data.test.x), labels) > 0.95
    probabilities = classifier.predicted(grey(data, data.test.x))
    assert_close(probabilities.sum(dim=1), torch.ones(359, dtype=torch.float64))
    assert not classifier.training


def test_features_tell_digits_from_noise_and_from_fewer_classes(trained):
    data, classifier = trained
    whole = classifier.features(grey(data, data.train.x))
    assert_close(whole.mean(dim=0), torch.zeros(64).double(), rtol=0, atol=1e-4)
    assert whole.std(dim=0).max() < 1.01
    real = whole[:500]
    assert real.shape == (500, 64) and real.dtype == torch.float64 and not real.requires_grad
    others = grey(data, data.train.x[500:1_000])
    rng = torch.Generator().manual_seed(0)
    # each pixel from another picture: what independent pixels would give
    columns = [column[torch.randperm(500, generator=rng)] for column in others.flatten(1).T]
    shuffled = torch.stack(columns, dim=1)
    few = others[data.train.context[500:1_000, :3].sum(dim=1) > 0]
    samples = {
        "same": classifier.features(others),
        "shuffled": classifier.features(shuffled.view_as(others)),
        "three classes": classifier.features(few),
    }
    frechet = {name: frechet_distance(real, x) for name, x in samples.items()}
    kernel = {name: kernel_distance(real, x).mean for name, x in samples.items()}
    for name in ("shuffled", "three classes"):
        assert frechet[name] > 5 * frechet["same"]
        assert kernel[name] > 5 * abs(kernel["same"])
    shares = {name: precision_recall(real, x) for name, x in samples.items()}
    assert shares["shuffled"].precision < 0.85 * shares["same"].precision
    assert shares["three classes"].recall < 0.7 * shares["same"].recall
    coverage = {name: density_coverage(real, x).coverage for name, x in samples.items()}
    assert max(coverage["shuffled"], coverage["three classes"]) < 0.6 * coverage["same"]


def test_a_file_keeps_the_classifier(tmp_path, monkeypatch):
    data = digits("centred", labels=True)
    first = picture_classifier(data, folder=tmp_path, num_updates=3)
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("classifier-digits-")
    monkeypatch.setattr("gymagine.generative.metrics.features._train", None)
    again = picture_classifier(data, folder=tmp_path, num_updates=3)
    x = grey(data, data.test.x)
    assert torch.equal(first.features(x), again.features(x))
    for changed in ({"num_updates": 4}, {"num_updates": 3, "seed": 1}):
        with pytest.raises(TypeError):  # another one would have to be trained
            picture_classifier(data, folder=tmp_path, **changed)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError):
        picture_classifier(data, folder=tmp_path, num_updates=3)


def test_training_is_of_the_seed_alone():
    data = digits("redrawn", labels=True)
    before = torch.get_rng_state()
    first, same = (picture_classifier(data, num_updates=3) for _ in range(2))
    assert torch.equal(first.classes.weight, same.classes.weight)
    assert torch.equal(before, torch.get_rng_state())
    other = picture_classifier(data, num_updates=3, seed=1)
    assert not torch.equal(first.classes.weight, other.classes.weight)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"one-hot classes .* got contexts of shape None"):
        picture_classifier(digits())
    x, classes = torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.eye(5)
    with pytest.raises(ValueError, match="preparation of this package"):
        picture_classifier(Dataset(Events(x, classes)))
    with pytest.raises(ValueError, match=r"pictures \(C, H, W\) .* got \(64,\) and 10"):
        PictureClassifier((64,), 10)
    with pytest.raises(ValueError, match=r"pictures of \(1, 8, 8\), got \(1, 8, 9\)"):
        PictureClassifier((1, 8, 8), 10).features(torch.zeros(2, 1, 8, 9))


def test_larger_pictures_cost_no_more_than_they_must():
    small, large = PictureClassifier((1, 15, 15), 3), PictureClassifier((1, 28, 28), 3)
    sizes = [
        tuple(c.convolutions(torch.zeros(1, *c.picture_shape)).shape[2:]) for c in (small, large)
    ]
    assert sizes == [(4, 4), (4, 4)]
