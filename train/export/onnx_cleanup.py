"""Exporting without the exporter's notes in the network and its talk on the terminal.

The notes are long, and name folders of the machine that exported.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from onnx import ModelProto


def bare(model: ModelProto) -> bytes:
    """The model's bytes without notes and doc strings, which name this machine's paths; the
    arithmetic is untouched. They are removed from `model` itself too.
    """
    nodes = [*model.graph.node, *(node for f in model.functions for node in f.node)]
    for noted in (model, model.graph, *nodes, *model.graph.value_info):
        del noted.metadata_props[:]
        noted.doc_string = ""
    return bytes(model.SerializeToString())


@contextmanager
def quietly() -> Iterator[None]:
    """A block in which the exporters' own logs and all Python warnings are not shown; errors are.
    The logs stay quiet after it, too.
    """
    for name in ("onnxscript", "onnx_ir", "torch.onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
