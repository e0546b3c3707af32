"""gRPC servers, and calls between the nodes."""
