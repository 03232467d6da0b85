"""A character model: an embedding, layers of LSTM, and a softmax over the next character at each step."""
