"""How fast configs train: each is measured in a process of its own, in turn with the others."""
