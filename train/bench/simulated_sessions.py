"""Unseen slopes, recorded as a user records: real processes, real pictures, sealed
sessions, through a detector that marks every joint a little elsewhere.

The truth lies beside the data folder, where no night looks.
"""

import copy
import json
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

import cvsf
from cvsf.engine.manifest import sha256_of
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.evaluation.truth_rows import truth_rows
from cvsf.messages import MultiviewPose
from cvsf.session.reader import SessionReader
from cvsf.session.writer import SessionWriter
from cvsf.skeleton import joint_set
from cvsf.system.errors import Refusal
from cvsf.system.processes import command
from train.data.instants import Recordings, joined
from train.data.sessions import read_session

_SIM_BUNDLE = Path(cvsf.__file__).parent / "shipped" / "bundles" / "sim-skier"
_BIAS_CELLS = 0.5
"""Standard deviation of a joint's shift, up or down: about 2 % of the person's height."""
_REACH = 2
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """One venue: its simulated slope, its data folder and the truth of its sessions."""

    seed: int
    data: Path
    truth: Path

    @property
    def sessions(self) -> Path:
        """The folder of the slope's sessions."""
        return self.data / "sessions"


def record(seed: int, folder: Path, *, cams: int, takes: int, seconds: float) -> Slope:
    """Record `takes` runs of one skier on the slope of a seed, before the same cameras, each of
    that many seconds (s), into `data` and `truth` in `folder`, by `cvsf-capture` in child
    processes; it blocks. Refusal if a run fails or takes more than 300 s; FileExistsError if these
    are there already.
    """
    slope = Slope(seed=seed, data=folder / "data", truth=folder / "truth")
    for place in (slope.data, slope.truth):
        place.mkdir(parents=True)
    bundle = biased_bundle(seed, folder / "bundle")
    for take in range(1, takes + 1):
        name = f"take{take}"
        words = ["--cams", str(cams), "--source", f"sim?take={take}", "--seed", str(seed)]
        words += ["--detector", str(bundle), "--duration", str(seconds), "--name", name]
        words += ["--truth", str(slope.truth / f"{name}.npz"), "--data", str(slope.data)]
        _capture(words)
    return slope


def _capture(words: list[str]) -> None:
    """`cvsf-capture` with those words on ports of its own; a Refusal if it failed."""
    line = [*command("supervisor"), *words, "--headless"]
    for name, port in zip(("frames", "skeletons", "web"), _free_ports(3), strict=True):
        line += [f"--{name}-port", str(port)]
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Refusal(
            f"cvsf-capture {' '.join(words)} did not end in {_PATIENCE_S:g} s; "
            "the machine is overloaded; try again later"
        ) from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise Refusal(f"cvsf-capture {' '.join(words)} ended with {done.returncode}: {reason}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def biased_bundle(seed: int, folder: Path) -> Path:
    """Write the simulated skier's 2D bundle to a new folder, with another idea of where joints are:
    each joint's heatmap is shifted up or down by its own amount, at most 2 cells (normal, sigma 0.5
    cells), which the seed determines. It is not marked as verified. The folder; FileExistsError if
    it is there already.
    """
    folder.mkdir(parents=True)
    manifest: dict[str, Any] = json.loads((_SIM_BUNDLE / "manifest.json").read_text())
    count = len(joint_set(manifest["joint_set"]))
    cells = np.random.default_rng([seed, 77]).normal(0, _BIAS_CELLS, count)
    (folder / "detector.onnx").write_bytes((_SIM_BUNDLE / "detector.onnx").read_bytes())
    onnx.save(shifted(onnx.load(str(_SIM_BUNDLE / "pose.onnx")), cells), str(folder / "pose.onnx"))
    manifest |= {"name": f"sim-skier-{seed}", "verified": False, "held_out": {}}
    for network in (manifest["detector"], manifest["pose"]):
        network["sha256"] = sha256_of(folder / network["file"])
        network["bytes"] = (folder / network["file"]).stat().st_size
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2))
    return folder


def shifted(model: onnx.ModelProto, cells: npt.NDArray[Any]) -> onnx.ModelProto:
    """The network with its heatmaps (B, J, h, w) moved down by so many cells (up if negative), each
    its own, at most two. `model` itself is changed.
    """
    kernels = np.zeros((len(cells), 1, 2 * _REACH + 1, 1), np.float32)
    for kernel, shift in zip(kernels[:, 0, :, 0], cells.clip(-_REACH, _REACH - 1e-6), strict=True):
        low = int(np.floor(shift))
        kernel[_REACH - low] += 1 - (shift - low)
        kernel[_REACH - low - 1] += shift - low
    (out,) = model.graph.output
    for node in model.graph.node:
        node.output[:] = ["true_heatmaps" if name == out.name else name for name in node.output]
    model.graph.initializer.append(numpy_helper.from_array(kernels, "bias_kernels"))
    pads = [_REACH, 0, _REACH, 0]
    model.graph.node.append(
        helper.make_node(
            "Conv", ["true_heatmaps", "bias_kernels"], [out.name], group=len(cells), pads=pads
        )
    )
    onnx.checker.check_model(model)
    return model


def labelled(slope: Slope, session: Path) -> Recordings:
    """A session's instants that the simulator has a truth for: joints in mm, from the slope's file
    for the take at the end of the session's name. Refusal if the session cannot be read, OSError if
    there is no such file.
    """
    truth_file = slope.truth / f"{session.name.rpartition('-')[2]}.npz"
    reader = SessionReader(session)
    rows_of = truth_rows(reader, truth_file)
    indices = [pose.instant for pose in reader.poses()]
    whole = joined(list(read_session(session)))
    known = np.array([index in rows_of for index in indices])
    with np.load(truth_file, allow_pickle=False) as file:
        rows = [rows_of[index] for index in indices if index in rows_of]
        joints_mm = file["joints_mm"][rows].astype(np.float32)
    return replace(whole.take(known), truth=GroundTruth(joints_mm=joints_mm))


def poisoned(slope: Slope, folder: Path, how: str) -> Slope:
    """Write the same sessions, their 2D poses only, with spoilt 2D to `folder`, the data folder of
    the slope returned: `how` is `shuffled views` or `NaN`. The sessions themselves stay as they
    were.
    """
    random = np.random.default_rng(slope.seed)
    for session in sorted(slope.sessions.iterdir()):
        reader = SessionReader(session)
        writer = SessionWriter(
            folder / "sessions" / session.name,
            recording="poses",
            joint_set=reader.manifest.joint_set,
        )
        for pose in reader.poses():
            writer.write(spoilt(pose, how, random))
        writer.close()
    return replace(slope, data=folder)


def spoilt(pose: MultiviewPose, how: str, random: np.random.Generator) -> MultiviewPose:
    """A copy of an instant with spoilt 2D: with `NaN` all keypoints are NaN and confidences stay;
    else (`shuffled views`) the views' 2D is exchanged at random among the cameras. `random`
    advances.
    """
    if how == "NaN":  # which no message of ours can be made with, but a foreign recorder may write
        broken = copy.copy(pose)
        object.__setattr__(broken, "keypoints_px", np.full_like(pose.keypoints_px, np.nan))
        return broken
    order = random.permutation(len(pose.cameras))
    return replace(pose, keypoints_px=pose.keypoints_px[order], confidence=pose.confidence[order])
