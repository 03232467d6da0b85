"""Neural Turing Machine on copy (Graves et al. 2014): an LSTM controller beside a memory with one read and one write head."""
