"""The Lava Processes and their ProcessModels, alone in this folder: Lava executes every module beside a Process."""
