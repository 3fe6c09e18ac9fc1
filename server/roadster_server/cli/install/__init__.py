"""`install`: the entry of this server in the files of hosts."""
