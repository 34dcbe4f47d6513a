"""The service: tracks over HTTP."""
