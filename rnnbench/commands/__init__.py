"""The commands: read arguments, call the library, print."""
