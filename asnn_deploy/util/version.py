"""The version, read by the build and by `asnn-deploy --version`."""

__version__ = "0.1.0"
