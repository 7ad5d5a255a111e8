"""Tests of the set-up. Those that look at its products need `make setup` to have run; `make test` sees to it."""
