"""The service, as its clients meet it: real servers, real connections."""
