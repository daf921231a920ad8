"""Figures of this project: each command checks that its results are right before it prints one."""
