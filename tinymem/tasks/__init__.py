"""Floor 3: the data of each experiment: generators and shipped data sets.  Knows no model; imports NumPy alone."""
