"""Losses in logit form: the sum of an elementary loss over its targets, safe for any logits."""

from __future__ import annotations

from typing import Any

from tinymem.engine.backend import HOST_TYPES
from tinymem.engine.errors import OperandError
from tinymem.engine.ops import log_softmax, mean, softplus, take_along_axis
from tinymem.engine.tensor import Tensor


def bernoulli_loss(logits: Any, targets: Any) -> Tensor:
    """-ln p(targets) of independent bits in nats, elementwise: softplus(x) - t x  =  -t ln σ(x) - (1-t) ln(1-σ(x)).

    logits and targets have equal shapes; targets in [0, 1].
    """
    if tuple(logits.shape) != tuple(targets.shape):
        raise OperandError(f"bernoulli_loss: logits {tuple(logits.shape)} and targets {tuple(targets.shape)} must have equal shapes")
    return softplus(logits) - logits * targets


def categorical_loss(logits: Any, classes: Any, smoothing: float = 0.0) -> Tensor:
    """-ln p(class) in nats: ln Σ_k e^{x_k} - x_class.  logits (..., K), classes (...) integers in 0 … K-1; result (...).

    With `smoothing` ε the target has 1 - ε on the class and ε spread over all K: (1 - ε) (-ln p(class)) - ε/K Σ_k ln p(k) (Szegedy
    et al. 2016; Vaswani et al. 2017, section 5.4).
    Classes on the host are checked; on a device that would mean to wait for it, and CuPy wraps a wrong one: check before moving.
    """
    classes = classes.data if type(classes) is Tensor else classes
    if not hasattr(classes, "dtype"):
        raise TypeError(f"categorical_loss: classes must be an array of integers, got {type(classes).__name__}; write numpy.array(classes)")
    if tuple(logits.shape[:-1]) != tuple(classes.shape) or classes.dtype.kind not in "iu":
        raise OperandError(
            f"categorical_loss: classes must be integers of shape {tuple(logits.shape[:-1])} for logits {tuple(logits.shape)}, "
            f"got {classes.dtype} {tuple(classes.shape)}"
        )
    if type(classes) in HOST_TYPES and classes.size and not 0 <= classes.min() <= classes.max() < logits.shape[-1]:
        raise OperandError(f"categorical_loss: classes must lie in 0 … {logits.shape[-1] - 1}, got {classes.min()} … {classes.max()}")
    logs = log_softmax(logits, -1)
    chosen = take_along_axis(logs, classes[..., None], -1)[..., 0]
    return -chosen if smoothing == 0 else -(1 - smoothing) * chosen - smoothing * mean(logs, -1)
