"""The whole platform, really running: a day through it, and every stage of a day broken in turn."""
