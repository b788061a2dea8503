"""What shows and measures Guardian: the demo, eval, bench."""
