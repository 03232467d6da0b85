"""The engine's own errors."""


class RecordingError(TypeError):
    """A step cannot be compiled; the message says what it does, in which line, and what to write instead."""


class OperandError(ValueError):
    """Operands that do not fit an operation; the message names the operation, the operands, their shapes and a remedy."""
