"""What the contracts offer to clients: frames, HTTP routes, pushes, and the sizes they need."""
