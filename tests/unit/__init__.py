"""Tests of what needs neither a running platform nor an AWS."""
