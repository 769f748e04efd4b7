from __future__ import annotations

import numpy as np
import pytest
import torch

from asmd import compiled
from asmd.errors import ConfigError
from asmd.tracking.classifier import Classifier, ClassifierConfig, Course
from asmd.tracking.config import TrackerConfig
from asmd.tracking.mining import MiningConfig

CPU = torch.device("cpu")


def build(config: ClassifierConfig | None = None, features: int = 20, seed: int = 0) -> Classifier:
    return Classifier(
        features, config or ClassifierConfig(), MiningConfig(count=24, pool=256), np.random.default_rng(seed), CPU
    )


def clouds(seed: int = 0, features: int = 20, gap: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    positives = torch.randn(200, features, generator=generator) * 0.3 + gap / 2
    return positives, torch.randn(1000, features, generator=generator) * 0.3 - gap / 2


def test_layers_are_three_and_sized_as_printed() -> None:
    shapes = [tuple(p.shape) for p in build(ClassifierConfig(members=3, hidden=128), features=1024).parameters]
    assert shapes == [(3, 128, 1024), (3, 128), (3, 128, 128), (3, 128), (3, 2, 128), (3, 2)]


def test_it_learns_to_separate() -> None:
    classifier, (positives, negatives) = build(ClassifierConfig(hidden=128)), clouds()
    classifier.standardise(torch.cat([positives, negatives]))
    loss = classifier.train(positives, negatives, 50, 1e-3)
    assert loss < 0.1
    assert (classifier.margins(positives) > 0).float().mean() > 0.99
    assert (classifier.margins(negatives) < 0).float().mean() > 0.99


def test_the_printed_schedule_hardly_moves_random_layers() -> None:
    """FACTS 0.2: with N(0, 0.01) and the printed rates 30 steps leave every score near one half."""
    config = TrackerConfig.paper().classifier
    assert (config.init_steps, config.init_rate, config.last_factor, config.update_rate) == (30, 1e-4, 10, 3e-4)
    classifier, (positives, negatives) = build(config), clouds()
    classifier.train(positives, negatives, config.init_steps, config.init_rate)
    assert classifier.margins(positives).abs().max() < 0.2


def test_one_step_by_hand() -> None:
    """SGD on a two-class softmax: the last bias moves by rate * 10 (last layer) * 2 (bias) * mean gradient."""
    config = ClassifierConfig(members=1, positives=4, clip=0.0, momentum=0.0, dropout=0.0)
    classifier = Classifier(3, config, MiningConfig("rand", count=12, pool=12), np.random.default_rng(0), CPU)
    positives, negatives = torch.ones(4, 3), -torch.ones(12, 3)
    with torch.no_grad():
        p = torch.sigmoid(classifier.margins(torch.cat([positives, negatives])))
        labels = torch.zeros(16)
        labels[:4] = 1
        gradient = (p - labels).mean()
        expected = classifier.parameters[-1][0] - 1e-3 * 10 * 2 * torch.stack([-gradient, gradient])
    classifier.train(positives, negatives, 1, 1e-3)
    assert torch.allclose(classifier.parameters[-1][0], expected, atol=1e-6)


def test_same_seed_same_weights() -> None:
    results = []
    for _ in range(2):
        classifier, (positives, negatives) = build(ClassifierConfig(dropout=0.5), seed=5), clouds()
        classifier.train(positives, negatives, 5, 1e-3)
        results.append(classifier.margins(positives))
    assert torch.equal(*results)


@pytest.mark.parametrize("sizes", [(0, 10), (10, 0)])
def test_nothing_to_learn_from(sizes: tuple[int, int]) -> None:
    classifier = build()
    before = classifier.parameters[0].clone()
    assert np.isnan(classifier.train(torch.randn(sizes[0], 20), torch.randn(sizes[1], 20), 3, 1e-3))
    assert torch.equal(classifier.parameters[0], before)


def test_fewer_samples_than_a_minibatch() -> None:
    assert np.isfinite(build().train(torch.randn(3, 20), torch.randn(5, 20), 3, 1e-3))


def test_standardise() -> None:
    classifier = build()
    samples = torch.randn(500, 20) * 7 + 3
    classifier.standardise(samples)
    assert torch.allclose(
        (samples - classifier._mean).mul(classifier._gain).square().mean(), torch.tensor(1.0), atol=1e-4
    )


@pytest.mark.skipif(not compiled.available(), reason="needs Numba")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_compiled_minibatch_is_that_in_torch(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    """To the bit, where what is read is no block of its own, and where rounding has to choose."""
    classifier, (positives, negatives) = build(), clouds()
    classifier.standardise(torch.cat([positives, negatives]) * 7 + 3)
    given = positives[:12].to(dtype), negatives.T.contiguous().T.to(dtype), np.array([999, 0, 5, 5])
    found = classifier.minibatch(*given)
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert found.dtype == dtype and found.shape == (16, 20)
    assert torch.equal(found, classifier.minibatch(*given))
    expected = (torch.cat([given[0], given[1][given[2]]]).float() - classifier._mean) * classifier._gain
    torch.testing.assert_close(found, expected.to(dtype))


@pytest.mark.skipif(not compiled.available(), reason="needs Numba")
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_as_many_units_are_dropped_as_asked_for_compiled_or_not(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    first, second = (build(ClassifierConfig(dropout=share)) for _ in range(2))
    kept = first._dropout(200)
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert torch.equal(kept, second._dropout(200))
    assert kept.mean().item() == pytest.approx(1, abs=0.02)
    assert kept.max().item() == pytest.approx(1 / (1 - share))
    assert (kept == 0).float().mean().item() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(("interval", "scorings"), [(1, 10), (4, 3), (20, 1)])
def test_scores_of_a_pool_serve_for_so_many_steps(interval: int, scorings: int) -> None:
    classifier, (positives, negatives) = build(), clouds()
    classifier.mining = MiningConfig(count=24, pool=256, interval=interval)
    scored: list[int] = []
    margins = classifier.margins
    classifier.margins = lambda samples: (scored.append(len(samples)), margins(samples))[1]  # type: ignore
    assert np.isfinite(classifier.train(positives, negatives, 10, 1e-3))
    assert scored == [256] * scorings


def test_random_negatives_are_drawn_for_every_minibatch() -> None:
    classifier, (positives, negatives) = build(), clouds()
    classifier.mining = MiningConfig("rand", count=24, pool=256, interval=10)
    drawn = []
    step = classifier.step
    classifier.step = lambda samples, *rest: (drawn.append(samples[rest[0] :]), step(samples, *rest))[1]  # type: ignore
    classifier.train(positives, negatives, 3, 1e-3)
    assert all(len(batch) == len(batch.unique(dim=0)) == 24 for batch in drawn)
    assert len({tuple(batch[:, 0].tolist()) for batch in drawn}) == 3


def test_a_course_in_parts_is_that_at_once() -> None:
    """Spreading an update over frames changes nothing in it."""
    results = []
    for paces in ((10,), (2, 2, 2, 2, 2), (3, 3, 3, 3)):
        classifier, (positives, negatives) = build(seed=5), clouds()
        course = Course(classifier, positives, negatives, 10, 1e-3)
        for pace in paces:
            course.advance(pace)
        assert course.remaining == 0
        assert np.isnan(course.advance(1))
        results.append(classifier.margins(positives))
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="slow and no use without bfloat16 in hardware")
def test_short_descriptors_are_scored_nearly_alike() -> None:
    classifier, (positives, negatives) = (
        build(ClassifierConfig(hidden=64, members=3), features=300),
        clouds(features=300),
    )
    positives, negatives = positives.bfloat16(), negatives.bfloat16()
    classifier.standardise(torch.cat([positives, negatives]))
    classifier.train(positives, negatives, 30, 1e-3)
    samples = torch.cat([positives, negatives])
    short, exact = classifier.margins(samples), classifier.margins(samples.float())
    assert short.dtype == torch.float32
    assert float((short - exact).abs().max()) < 0.03 * float(exact.std())


def test_members_differ_and_their_mean_decides() -> None:
    classifier, (positives, negatives) = build(ClassifierConfig(members=3)), clouds()
    classifier.train(positives, negatives, 5, 1e-3)
    every = classifier.parameters
    alone = []
    for member in range(3):
        classifier.parameters, classifier._scoring = [p[member : member + 1] for p in every], None
        alone.append(classifier.margins(positives))
    classifier.parameters, classifier._scoring = every, None
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)
    torch.testing.assert_close(classifier.margins(positives).clone(), torch.stack(alone).mean(0))


def test_bad_settings() -> None:
    with pytest.raises(ConfigError, match="gaussian or kaiming"):
        ClassifierConfig(init="zeros")
