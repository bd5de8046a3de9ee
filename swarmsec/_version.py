"""The version of the distribution, read by the build and by the command line without importing anything."""

__version__ = "0.1.0"
