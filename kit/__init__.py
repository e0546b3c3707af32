"""What any service may use and could leave as a library of its own."""
