"""What `make parity` makes of what it finds."""
