"""CUDA's memory, streams and graphs, against a stand-in in ordinary memory."""

from types import ModuleType

import numpy as np
import pytest

from cvsf.system.errors import Refusal

pytestmark = pytest.mark.usefixtures("faked")


def test_the_gpu_is_named_with_its_compute_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    from cvsf.engine.cuda import gpu_name

    assert gpu_name() == "NVIDIA Fake sm_90"
    monkeypatch.setenv("FAKE_GPU", "")
    with pytest.raises(Refusal, match="CUDA finds no GPU"):
        gpu_name()


def test_a_machine_without_a_driver_is_refused_with_the_drivers_error(
    faked: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cvsf.engine.cuda import gpu_name

    def without() -> None:
        raise RuntimeError("libcuda.so.1 not found")

    monkeypatch.setattr(faked, "cudaGetDeviceCount", without)
    with pytest.raises(Refusal, match=r"CUDA cannot be used \(libcuda.so.1 not found\)"):
        gpu_name()


def test_an_array_sent_to_the_gpu_is_fetched_back_and_its_memory_is_freed(
    faked: ModuleType,
) -> None:
    from cvsf.engine.cuda import Stream, Tensor

    stream, tensor = Stream(), Tensor((2, 3), np.float32)
    assert stream.number == 77
    assert tensor.host.tolist() == [[0, 0, 0], [0, 0, 0]]
    there = faked.view(tensor.device, (2, 3), np.float32)
    tensor.host[...] = [[1, 2, 3], [4, 5, 6]]
    tensor.send(stream)
    stream.wait()
    assert there.tolist() == [[1, 2, 3], [4, 5, 6]]
    there *= 2
    tensor.fetch(stream)
    stream.wait()
    assert tensor.host.tolist() == [[2, 4, 6], [8, 10, 12]]
    assert len(faked.memory) == 2
    tensor.close()
    stream.close()
    assert not faked.memory


def test_an_empty_array_is_sent_and_fetched_and_its_memory_is_freed(faked: ModuleType) -> None:
    from cvsf.engine.cuda import Stream, Tensor

    stream, tensor = Stream(), Tensor((0, 16), np.uint8)
    assert tensor.host.shape == (0, 16)
    tensor.send(stream)
    tensor.fetch(stream)
    tensor.close()
    assert not faked.memory


def test_a_cuda_graph_runs_nothing_while_captured_and_everything_at_each_launch(
    faked: ModuleType,
) -> None:
    from cvsf.engine.cuda import Stream, Tensor

    stream, tensor = Stream(), Tensor((1,), np.int32)
    there = faked.view(tensor.device, (1,), np.int32)
    there[...] = -1
    tensor.host[...] = 5
    stream.begin_graph()
    tensor.send(stream)
    graph = stream.end_graph()
    assert there.tolist() == [-1]
    for value in (5, 6):
        tensor.host[...] = value
        graph.launch(stream)
        stream.wait()
        assert there.tolist() == [value]
    graph.close()
    stream.begin_graph()
    tensor.send(stream)
    stream.drop_graph()
    tensor.host[...] = 9
    tensor.send(stream)  # done at once again
    assert there.tolist() == [9]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("cudaStreamCreateWithFlags", "create a stream"),
        ("cudaMalloc", "take 24 bytes of the GPU"),
        ("cudaMemcpyAsync", "copy to or from the GPU"),
        ("cudaStreamBeginCapture", "begin a CUDA graph"),
        ("cudaStreamEndCapture", "end a CUDA graph"),
        ("cudaGraphInstantiate", "prepare a CUDA graph"),
        ("cudaGraphLaunch", "launch a CUDA graph"),
        ("cudaStreamSynchronize", "run the network"),
    ],
)
def test_a_failed_cuda_call_is_refused_with_the_step_and_the_drivers_error(
    monkeypatch: pytest.MonkeyPatch, call: str, what: str
) -> None:
    from cvsf.engine.cuda import Stream, Tensor

    def use() -> None:
        stream, tensor = Stream(), Tensor((2, 3), np.float32)
        stream.begin_graph()
        tensor.send(stream)
        stream.end_graph().launch(stream)
        stream.wait()

    monkeypatch.setenv("FAKE_FAILS", call)
    with pytest.raises(Refusal) as refused:
        use()
    assert str(refused.value) == f"CUDA failed to {what}: unspecified launch failure"
