"""What the pytest plugin imports once it is asked for anything."""
