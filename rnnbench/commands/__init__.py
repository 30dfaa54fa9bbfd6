"""One module per command: read arguments, call the library, print."""
