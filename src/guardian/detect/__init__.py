"""Turn rows into findings."""
