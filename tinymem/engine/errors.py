"""The engine's own error."""


class OperandError(ValueError):
    """Operands that do not fit an operation; the message names the operation, the operands, their shapes and a remedy."""
