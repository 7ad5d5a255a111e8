"""Tests of what is looked at before anything is started: each check in a situation that is faked at its edge."""
