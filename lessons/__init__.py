"""Floor 7: the lessons, step-through scripts in percent format.  Run one with `tinymem lesson NAME`."""
