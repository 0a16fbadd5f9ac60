"""Targets: one file (or folder) each, running a DeployGraph or what was exported from it."""
