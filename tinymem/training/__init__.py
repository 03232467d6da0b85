"""Floor 4: optimisers, the one training loop, checkpoints, logs, experiments and sweeps."""
