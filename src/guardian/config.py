"""The configuration file: one TOML table a stage, unknown keys refused."""
