"""Translation with additive attention (Bahdanau et al. 2015): a GRU reads, a GRU writes and looks back at what was read."""
