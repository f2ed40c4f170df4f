"""The version: year, month, day of the release. Read by the build, and told to other nodes."""

__version__ = "2026.11.23"
