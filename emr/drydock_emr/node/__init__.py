"""The node: one process a machine, what AWS calls the instance controller."""
