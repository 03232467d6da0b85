"""What tinymem costs, beside PyTorch and JAX on the same equations: `python -m benchmarks` from the repository root.

Benchmarks are no tests: they need the peers installed (`pip install tinymem[bench]`) and a quiet core, and they assert
nothing but that all compute the same gradients, before they time anything.

`workloads/` says what is computed, once in tinymem and once for each peer; `step_in_*.py` makes a training step of any
of them in one library; `comparison.py` checks that they agree, and times them.
"""
