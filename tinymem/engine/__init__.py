"""Floor 1: arrays, tape, derivatives.  Read: backend, tensor, primitive, graph, ops, autograd.  No model may enter."""
