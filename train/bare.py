"""An exported network without the exporter's notes.

They are long, and name folders of the machine that exported.
"""

from onnx import ModelProto


def bare(model: ModelProto) -> bytes:
    """The model's bytes; its arithmetic is untouched."""
    nodes = [*model.graph.node, *(node for f in model.functions for node in f.node)]
    for noted in (model, model.graph, *nodes, *model.graph.value_info):
        del noted.metadata_props[:]
        noted.doc_string = ""
    return bytes(model.SerializeToString())
