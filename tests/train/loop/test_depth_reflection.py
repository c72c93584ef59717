"""A lifter told from its mirror image in depth."""

import copy

import numpy as np
import torch

from cvsf.model.lifter import Lifter, LifterShape
from cvsf.skeleton import H36M_16
from train.batches.batch import Batch
from train.batches.probe_inputs import STANDING
from train.loop.depth_reflection import depth_sign, without_reflection


def test_a_body_mirrored_in_depth_is_recognised_by_its_knees_and_elbows() -> None:
    body = torch.tensor(np.array([STANDING[j] for j in H36M_16.joints]))[None, None]
    assert depth_sign(body, H36M_16) > 0
    assert depth_sign(body * torch.tensor([-1.0, 1.0, 1.0]), H36M_16) < 0


def test_a_lifter_of_mirror_images_is_turned_over_and_another_stays_as_it_is() -> None:
    torch.manual_seed(0)
    lifter = Lifter(LifterShape(joints=len(H36M_16), width=16, blocks=1)).eval()
    plane, confidence = torch.randn(8, 2, len(H36M_16), 2), torch.ones(8, 2, len(H36M_16))
    sample = Batch(plane, confidence, confidence)
    with torch.no_grad():
        before, _ = lifter(plane, confidence)
        once = without_reflection(lifter, sample, H36M_16)
        again = without_reflection(once, sample, H36M_16)
        bodies = [one(plane, confidence)[0] for one in (once, again)]
        turned = copy.deepcopy(lifter)
        turned.mirror_depth()
        mirrored = without_reflection(turned, sample, H36M_16)(plane, confidence)[0]
    assert depth_sign(bodies[0], H36M_16) > 0
    assert torch.equal(bodies[0], bodies[1])
    torch.testing.assert_close(bodies[0], mirrored)
    assert torch.equal(lifter(plane, confidence)[0], before), "the lifter itself is not changed"
