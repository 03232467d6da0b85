"""What tinymem costs, beside PyTorch and JAX on the same equations: `python -m benchmarks` from the repository root.

Benchmarks are no tests: they need the peers installed (`pip install tinymem[bench]`) and a quiet core, and they assert
nothing but that all compute the same gradients, before they time anything.
"""
