"""Turn findings into incidents, fact packets, verdicts and explanations."""
