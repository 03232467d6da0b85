"""The Transformer (Vaswani et al. 2017), encoder and decoder, normalised after each sublayer; without dropout."""
