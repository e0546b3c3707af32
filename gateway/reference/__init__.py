"""The reference of all calls and pushes of clients, generated from the contracts: OpenAPI, AsyncAPI, a page."""
