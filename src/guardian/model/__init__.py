"""The words of the field as frozen value types. No input, no output."""
