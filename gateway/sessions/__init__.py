"""Sessions of clients: state machine, connections, resumption on this node and between nodes."""
