"""M2 against the mixture of two linear-Gaussian models, of which all is known, and on digits."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.autoencoders.m2 import M2
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.training import fit
from scipy import stats

from .linear_gaussian import LinearGaussian
from .test_vae import digits

TRUE = LinearGaussian()
BY_LABEL = np.random.default_rng(1).normal(size=(2, 5))
SEEN, UNSEEN = torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)


def exact_m2():
    """With the exact q(z | x, y) and q(y | x), whose log-odds are linear in x."""
    m2 = M2((5,), context_shape=(2,), network="linear", latent_size=2).double()
    TRUE.write_into(m2.model, BY_LABEL)
    centres = torch.from_numpy(TRUE.mean + BY_LABEL)
    inverse = torch.from_numpy(np.linalg.inv(TRUE.covariance))
    layer = m2.classifier.dense.layers[0]
    with torch.no_grad():
        layer.weight.copy_(centres @ inverse)
        layer.bias.copy_(-((centres @ inverse) * centres).sum(dim=1) / 2)
    return m2


def log_probs(x):
    """(B, 2) log p(x | y), exact."""
    found = [
        stats.multivariate_normal(TRUE.mean + shift, TRUE.covariance).logpdf(x)
        for shift in BY_LABEL
    ]
    return torch.from_numpy(np.stack(found, axis=1))


def means(call, x, context, num=5_000, seed=0):
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        given = context.expand(len(x), 2).repeat(num, 1)
        drawn = call(x.repeat(num, 1), given, rng=rng).view(num, len(x))
    return drawn.mean(dim=0), drawn.std(dim=0) / num**0.5


def test_the_classifier_is_bayes_rule():
    x = TRUE.draw(20)
    torch.testing.assert_close(exact_m2().class_probs(x), log_probs(x).softmax(dim=1))


def test_bound_without_labels_is_the_mixtures_log_probability():
    x = TRUE.draw(6)
    found, error = means(exact_m2().log_prob_bound, x, UNSEEN)
    exact = torch.logsumexp(log_probs(x), dim=1) - math.log(2)
    assert ((found - exact).abs() < 5 * error).all()
    assert (error < 0.05).all()


def test_bound_with_a_label_is_that_labels_log_probability():
    x = TRUE.draw(6)
    for label in range(2):
        found, error = means(exact_m2().log_prob_bound, x, SEEN[label])
        assert ((found - log_probs(x)[:, label]).abs() < 5 * error).all()


def test_a_worse_classifier_loosens_the_bound_by_its_divergence():
    m2, x = exact_m2(), TRUE.draw(6)
    with torch.no_grad():
        m2.classifier.dense.layers[0].bias[0] += 1.0
    found, error = means(m2.log_prob_bound, x, UNSEEN)
    q, p = m2.class_probs(x), log_probs(x).softmax(dim=1)
    gap = (q * (q / p).log()).sum(dim=1).detach()
    exact = torch.logsumexp(log_probs(x), dim=1) - math.log(2)
    assert ((exact - found - gap).abs() < 5 * error).all()


def test_unlabelled_loss_by_enumeration_of_the_labels():
    torch.manual_seed(0)
    m2 = M2((4,), context_shape=(3,), hidden_sizes=(8,), latent_size=2).double()
    x, labels = torch.randn(5, 4, dtype=torch.float64), torch.eye(3, dtype=torch.float64)

    def bound(label):  # -L(x, y), from the bound of log p(x | y) and p(y) = 1/3
        rng = torch.Generator().manual_seed(0)
        return m2.log_prob_bound(x, labels[label].expand(5, 3), rng=rng) - math.log(3)

    q = m2.class_probs(x)
    entropy = -(q * q.log()).sum(dim=1)
    expected = -(sum(q[:, y] * bound(y) for y in range(3)) + entropy)
    found = m2.loss(x, torch.zeros(5, 3).double(), rng=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, expected)


def test_labelled_loss_adds_the_classification():
    m2 = M2((4,), context_shape=(3,), classification_weight=7.0)
    x, labels = torch.randn(3, 4), torch.eye(3)
    loss = m2.loss(x, labels, rng=torch.Generator().manual_seed(0))
    joint = m2.log_prob_bound(x, labels, rng=torch.Generator().manual_seed(0)) - math.log(3)
    torch.testing.assert_close(loss, -joint - 7 * m2.class_probs(x).diagonal().log())


def test_samples_have_the_given_label_or_any():
    m2 = exact_m2()
    rng = torch.Generator().manual_seed(0)
    given = m2.sample(20_000, SEEN[:1], rng=rng).squeeze(1)
    np.testing.assert_allclose(given.mean(dim=0), TRUE.mean + BY_LABEL[0], atol=0.07)
    free = m2.sample(20_000, UNSEEN.unsqueeze(0), rng=rng).squeeze(1)
    np.testing.assert_allclose(free.mean(dim=0), TRUE.mean + BY_LABEL.mean(axis=0), atol=0.07)
    half = (BY_LABEL[0] - BY_LABEL[1]) / 2
    np.testing.assert_allclose(np.cov(free.T), TRUE.covariance + np.outer(half, half), atol=0.15)


def test_latents_hold_the_label():
    m2, x = exact_m2(), TRUE.draw(40)
    z = m2.encode(x, UNSEEN.expand(40, 2))
    assert z.shape == (40, 4)
    assert torch.equal(z[:, 2:].argmax(dim=1), log_probs(x).argmax(dim=1))
    other = SEEN[1 - z[:, 2:].argmax(dim=1)]
    assert torch.equal(m2.encode(x, other)[:, 2:], other)
    moved = m2.decode(torch.cat([z[:, :2], other], dim=1), other) - m2.decode(z, other)
    shift = torch.from_numpy(BY_LABEL[1] - BY_LABEL[0])
    torch.testing.assert_close(moved, shift * torch.where(other[:, 1:] == 1, 1.0, -1.0))


def test_wrong_labels():
    for shape in (None, (1,), (2, 2)):
        with pytest.raises(ValueError, match=r"labels as a context of shape \(K,\)"):
            M2((4,), context_shape=shape)
    m2, x = M2((4,), context_shape=(2,)), torch.zeros(2, 4)
    for wrong in ([[1.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [0.5, 0.5]]):
        with pytest.raises(ValueError, match=r"expected contexts with a single 1.* at 1"):
            fit(m2, Dataset(Events(x, torch.tensor(wrong))), num_updates=1)


@pytest.mark.slow
def test_events_without_labels_teach_the_classifier():
    x, labels = digits()
    train, test = x[:1500], x[1500:]
    context = torch.nn.functional.one_hot(labels[:1500], 10).float()
    context[100:] = 0
    accuracies = {}
    for name, num in (("labelled", 100), ("all", 1_500)):
        torch.manual_seed(0)
        m2 = M2((64,), context_shape=(10,), decoder="bernoulli", hidden_sizes=(128,))
        data = Dataset(Events(train[:num], context[:num]))
        fit(m2, data, num_updates=max(500, 2 * num), batch_size=100, num_threads=1)
        found = m2.class_probs(test).argmax(dim=1)
        accuracies[name] = float((found == labels[1500:]).float().mean())
    print(accuracies)
    assert accuracies["all"] > accuracies["labelled"] + 0.02
