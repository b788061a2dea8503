"""What is known of the world: catalogue, lists, suffixes, vendors."""
