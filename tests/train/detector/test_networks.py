"""The two small 2D networks: what they give for a picture."""

import torch

from train.detector.networks import (
    BOX_INPUT_PX,
    BOX_STRIDE,
    POSE_INPUT_PX,
    POSE_STRIDE,
    BoxNetwork,
    PoseNetwork,
    Residual,
    Up,
)

SEEN = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_a_pose_network_gives_one_heatmap_a_joint_at_a_quarter_of_the_resolution() -> None:
    with torch.no_grad():
        found = PoseNetwork(5).eval()(torch.zeros(1, 3, POSE_INPUT_PX, POSE_INPUT_PX))
    assert found.shape == (1, 5, POSE_INPUT_PX // POSE_STRIDE, POSE_INPUT_PX // POSE_STRIDE)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_a_box_network_gives_a_centre_map_and_two_shares_for_every_cell() -> None:
    width, height = BOX_INPUT_PX
    with torch.no_grad():
        centre, size = BoxNetwork().eval()(torch.zeros(1, 3, height, width))
    assert centre.shape == (1, 1, height // BOX_STRIDE, width // BOX_STRIDE)
    assert size.shape == (1, 2, height // BOX_STRIDE, width // BOX_STRIDE)
    assert 0 <= float(size.min()) <= float(size.max()) <= 1


def test_before_it_learned_a_network_expects_few_joints_and_grey_excites_nothing() -> None:
    grey = torch.full((1, 3, 64, 64), 0.5)
    with torch.no_grad():
        found = PoseNetwork(4).eval()(grey)
    torch.testing.assert_close(found, torch.full((1, 4, 16, 16), 0.0179862))  # sigmoid of -4


def test_pictures_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(0)
    network = PoseNetwork(3).eval()
    with torch.no_grad():
        both, second = network(SEEN), network(SEEN[1:])
    torch.testing.assert_close(both[1:], second, rtol=1e-4, atol=1e-6)
    assert float((both[0] - both[1]).abs().max()) > 0


def test_a_residual_block_that_adds_nothing_passes_on_what_is_positive() -> None:
    block = Residual(3).eval()
    torch.nn.init.zeros_(block.second[0].weight)  # type: ignore[arg-type]
    with torch.no_grad():
        torch.testing.assert_close(block(SEEN - 0.5), torch.relu(SEEN - 0.5))


def test_a_coarser_map_is_added_to_the_finer_one_at_its_resolution() -> None:
    up = Up(1, 1).eval()
    torch.nn.init.ones_(up.narrow[0].weight)  # type: ignore[arg-type]
    torch.nn.init.zeros_(up.block.second[0].weight)  # type: ignore[arg-type]
    coarse = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    with torch.no_grad():
        found = up(coarse, torch.full((1, 1, 4, 4), 10.0))
    assert found[0, 0].round().tolist() == [[11, 11, 12, 12]] * 2 + [[13, 13, 14, 14]] * 2
