"""The same code on NumPy and on CuPy: data decides, the context creates.

Run it: python examples/numpy_or_cupy.py   (without a GPU it says why CuPy is not used)
"""

import numpy as np

import tinymem as tm
from tinymem.equations import ntm


def addressed(rng):
    """One read by content; every array is made by the context's backend, every random number is drawn on the host."""
    memory, key = tm.Tensor(rng.normal(size=(1, 4, 3))), tm.Tensor(rng.normal(size=(1, 3)), requires_grad=True)
    weighting = ntm.content_weighting(memory, key, tm.Tensor([[3.0]]))
    loss = (ntm.read(memory, weighting) * key).sum()
    loss.backward()
    return type(key.grad), loss.item(), tm.to_host(key.grad)  # item() and to_host() are the only ways back to the host


for backend in ("numpy", "cupy"):
    try:
        with tm.use(backend):
            kind, loss, gradient = addressed(np.random.default_rng(0))
    except tm.BackendError as error:
        print(f"{backend}: {error}")
    else:
        print(f"{backend}: gradients are {kind.__module__}.{kind.__qualname__}; loss {loss:.6f}, gradient {np.round(gradient, 4)}")
