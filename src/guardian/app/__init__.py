"""The composition root: builds everything, runs the loops, supervises."""
