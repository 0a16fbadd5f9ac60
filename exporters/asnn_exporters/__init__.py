"""Exporters: one file each, turning a DeployGraph into files and, where the format allows, back again."""
