"""Check the gradient of a function of your own, and see what a wrong one is told.

Run it: python examples/check_your_gradient.py
"""

import numpy as np

import tinymem as tm
from tinymem.testing import GradientError, check_grad

rng = np.random.default_rng(0)
scores, values = rng.normal(size=(2, 5)), rng.normal(size=(2, 5, 3))


# A function in Tensor operators needs no derivative: the engine has them.  To second order, by the complex step:
def attention(scores, values):
    """c = Σ_i softmax(scores)_i values_i."""
    return tm.einsum("bl,blf->bf", tm.softmax(scores, 1), values)


print(check_grad(attention, scores, values, names=("scores", "values")))

# A primitive of your own has the derivative you write beside it …
swish = tm.primitive(
    "swish(x) = x σ(x)",
    lambda xp, x: x / (1 + xp.exp(-x)),
    saves="x",
    x=lambda g, out, x: g * (tm.sigmoid(x) + x * tm.sigmoid(x) * (1 - tm.sigmoid(x))),
)
print(check_grad(swish, scores, names=("x",)))

# … and if it is wrong, the checker says where.
forgetful = swish.with_vjp("x", lambda g, out, x: g * tm.sigmoid(x))  # the product rule, half of it
try:
    check_grad(forgetful, scores, names=("x",), title="swish, product rule forgotten")
except GradientError as error:
    print(f"\nrejected, as it should be:\n{error}")
else:
    raise SystemExit("a wrong gradient was accepted")
