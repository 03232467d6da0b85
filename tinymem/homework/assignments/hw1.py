"""Assignment 1.  The engine: five vector-Jacobian products and the reverse pass.

Each function takes NumPy arrays and returns new ones; none changes what it is given, and float32 stays float32.
Batches come first.  Check your work: tinymem hw check .
"""

import numpy as np


def multiply_vjp(x, y, g):
    r"""Task 1.1: VJP of the product, with broadcasting (Baydin et al. 2018, section 3.2).

    x̄ = z̄ y and ȳ = z̄ x for z = x y elementwise, each summed back to its operand's shape: what was repeated adds up.

    LaTeX: \bar x = \mathrm{sum\_to}(\bar z\, y),\ \bar y = \mathrm{sum\_to}(\bar z\, x)\ \mathrm{for}\ z = x\, y
    Slide: before the lecture: what trains every model of it.
    Points: 1 by the public checks, 1 by hidden ones.

    x: x, (N, M)
    y: y, (K, M)
    g: z̄, (N, M)
    Returns (N, M); (K, M).

    y has as many rows as x, or one that is repeated.
    """
    ### BEGIN SOLUTION
    x_gradient = g * y  # (N, M)
    y_gradient = g * x  # (N, M), before what was repeated is added up
    if y.shape[0] == 1:
        y_gradient = y_gradient.sum(0, keepdims=True)  # (1, M)
    return x_gradient, y_gradient
    ### END SOLUTION


def matmul_vjp(x, y, g):
    r"""Task 1.2: VJP of the matrix product (Baydin et al. 2018, section 3.2).

    x̄ = z̄ yᵀ and ȳ = xᵀ z̄ for the matrix product z = x y.

    LaTeX: \bar x = \bar z\, y^T,\ \bar y = x^T \bar z\ \mathrm{for}\ z = x\, y
    Slide: before the lecture: what trains every model of it.
    Points: 1 by the public checks, 1 by hidden ones.

    x: x, (N, K)
    y: y, (K, M)
    g: z̄, (N, M)
    Returns (N, K); (K, M).
    """
    ### BEGIN SOLUTION
    return g @ y.T, x.T @ g  # (N, M) x (M, K), (K, N) x (N, M)
    ### END SOLUTION


def tanh_vjp(x, g):
    r"""Task 1.3: VJP of tanh (Baydin et al. 2018, section 3.2).

    x̄ = z̄ (1 - tanh² x) for z = tanh x.

    LaTeX: \bar x = \bar z\, (1 - \tanh^2 x)\ \mathrm{for}\ z = \tanh x
    Slide: before the lecture: what trains every model of it.
    Points: 1 by the public checks, 1 by hidden ones.

    x: x, (N, M)
    g: z̄, (N, M)
    Returns (N, M).
    """
    ### BEGIN SOLUTION
    z = np.tanh(x)
    return g * (1 - z * z)
    ### END SOLUTION


def softmax_vjp(x, g):
    r"""Task 1.4: VJP of the softmax (Baydin et al. 2018, section 3.2).

    x̄_i = z_i (z̄_i - Σ_j z̄_j z_j) for z = softmax(x) of each row: every output depends on every input of its row.

    LaTeX: \bar x_i = z_i\, (\bar z_i - \sum_j \bar z_j z_j)\ \mathrm{for}\ z_i = e^{x_i} / \sum_j e^{x_j}
    Slide: before the lecture: what trains every model of it.
    Points: 1 by the public checks, 1 by hidden ones.

    x: x, (N, M)
    g: z̄, (N, M)
    Returns (N, M).
    """
    ### BEGIN SOLUTION
    e = np.exp(x - x.max(1, keepdims=True))  # the largest becomes e^0: nothing overflows
    z = e / e.sum(1, keepdims=True)
    return z * (g - (g * z).sum(1, keepdims=True))
    ### END SOLUTION


def take_vjp(x, g, rows):
    r"""Task 1.5: VJP of taking rows (Baydin et al. 2018, section 3.2).

    x̄_i = Σ of the z̄_k with rows[k] = i, for z = x[rows]: a row that was taken twice gets both gradients.

    LaTeX: \bar x_i = \sum_{k: n_k = i} \bar z_k\ \mathrm{for}\ z_k = x_{n_k}
    Slide: before the lecture: what trains every model of it.
    Points: 1 by the public checks, 1 by hidden ones.

    x: x, (N, M)
    g: z̄, (K, M)
    rows: (K,), integers from 0 to N - 1
    Returns (N, M).
    """
    ### BEGIN SOLUTION
    x_gradient = np.zeros_like(x)
    np.add.at(x_gradient, rows, g)  # adds once for every time a row was taken
    return x_gradient
    ### END SOLUTION


def reverse_pass(values, operations, left, right):
    r"""Task 1.6: Reverse pass (Baydin et al. 2018, section 3.2).

    v̄_i = Σ_j v̄_j ∂v_j/∂v_i over the rows j that use v_i; the last value is the loss, with the gradient 1.

        operations[i]   v_i
        0  leaf         given
        1  add          v_left[i] + v_right[i]
        2  multiply     v_left[i] · v_right[i]
        3  tanh         tanh v_left[i]

    LaTeX: \bar v_i = \sum_{j: i \in \mathrm{operands}(j)} \bar v_j\, \frac{\partial v_j}{\partial v_i},\ \bar
    v_{n-1} = 1
    Slide: before the lecture: what trains every model of it.
    Points: 3 by the public checks, 2 by hidden ones.

    values: v, (n,)
    operations: (n,), integers: 0 leaf, 1 add, 2 multiply, 3 tanh
    left: (n,), integers: the row of the first operand
    right: (n,), integers: the row of the second operand, 0 where there is none
    Returns (n,).
    """
    ### BEGIN SOLUTION
    gradients = np.zeros_like(values)
    gradients[-1] = 1
    for row in reversed(range(len(values))):
        g, first, second = gradients[row], left[row], right[row]
        if operations[row] == 1:  # add
            gradients[first] += g
            gradients[second] += g
        elif operations[row] == 2:  # multiply
            gradients[first] += g * values[second]
            gradients[second] += g * values[first]
        elif operations[row] == 3:  # tanh
            gradients[first] += g * (1 - values[row] ** 2)
    return gradients
    ### END SOLUTION
