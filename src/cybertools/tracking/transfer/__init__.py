"""Import and export: between a storage and files of many formats."""
