import numpy as np
import pytest
import torch

from asmd.experiments.estimate import Costs, _hours
from asmd.experiments.figure2 import spread
from asmd.experiments.plan import Training
from asmd.experiments.scales import supervised
from asmd.experiments.table4 import _training
from asmd.models.st_resnet import STResNetConfig


def test_spread_counts_the_domains_that_excite_a_unit():
    domains = np.zeros((8, 4))
    domains[:, 0] = 3  # all alike
    domains[5, 1] = 2  # one
    domains[[1, 2], 2] = 7  # two
    np.testing.assert_allclose(spread(domains), [1, 1 / 8, 2 / 8, 0])


@pytest.fixture(scope="module")
def costs() -> Costs:
    return Costs(torch.device("cpu"))


def test_two_residual_streams_take_twice_resnet_18_s_operations(costs: Costs):
    forward = costs.forward("st-resnet", STResNetConfig(), 224, 4)
    # ResNet-18 is known for 1.8 G multiply-adds at 224; the first layer of the other stream sees ten channels.
    assert forward / 2 == pytest.approx(2 * 1.814e9 + 112**2 * 64 * 49 * (10 - 3), rel=0.01)


def test_private_networks_double_a_step_and_clips_come_on_top(costs: Costs):
    light = costs.training(Training("a", supervised("APS", "full")))
    shared = costs.training(Training("b", supervised("FS", "full")))
    crop = costs.forward("st-resnet", STResNetConfig(), 224, 4)
    assert light == shared == pytest.approx(200_000 * 3 * 8 * 128 * crop)
    whole = costs.training(Training("c", _training("APS", "full", ())))
    assert whole == pytest.approx(shared / 2 * 2)  # half as many iterations, each twice as dear
    both = costs.training(Training("d", _training("ASPS", "full", ())))
    assert both == pytest.approx(whole + 1_100_000 * 3 * 2 * 5 * 2 * crop)


def test_hours_in_words():
    assert (_hours(5400), _hours(86400 * 40)) == ("1.5 h", "40 days")
