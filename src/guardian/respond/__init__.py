"""Turn incidents into proposals, and a person's yes into a proven, undoable change."""
