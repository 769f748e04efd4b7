"""Means of weights before and after training."""

import copy

import pytest
import torch
from models.narrow_networks import narrow_trunk

from asmd.training.averaging import averaged


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_lie_between_those_before_and_after(share):
    network = narrow_trunk()
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    trained = copy.deepcopy(network.state_dict())
    mean = averaged(network, start, share).state_dict()
    assert mean.keys() == start.keys()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(mean[name], start[name] + share, msg=name)
        assert torch.equal(parameter, trained[name])
