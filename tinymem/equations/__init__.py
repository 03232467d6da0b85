"""Floor 2: THE SLIDES.  One function an equation, one module a topic, in lecture order; nothing but Tensor operators."""
