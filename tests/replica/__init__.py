"""Wire forms and merge rules of the replica, without a network or a disk."""
