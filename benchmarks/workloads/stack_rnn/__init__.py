"""Stack-augmented recurrent network (Joulin & Mikolov 2015): a hidden layer that pushes to and pops from differentiable stacks."""
