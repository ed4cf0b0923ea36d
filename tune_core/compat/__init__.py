"""Other libraries' own interfaces, run by tune-core: change one import, keep the script."""
