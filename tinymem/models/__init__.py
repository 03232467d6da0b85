"""Floor 3: equations wired into trainable systems.  A model is equations plus parameters; a state is a frozen dataclass."""
