"""Drydock's command line: one module a verb, called by the Makefile of the same verbs."""
