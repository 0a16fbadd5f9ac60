"""Recordings of event cameras: read, one file for each format, and counted into frames (`frames.py`)."""
