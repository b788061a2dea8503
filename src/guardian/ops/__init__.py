"""Health, backup, doctor."""
