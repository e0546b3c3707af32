"""REST over HTTP/1.1: routes, requests, error responses, pages."""
