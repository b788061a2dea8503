"""Turn a source into typed columnar batches with their bookmark."""
