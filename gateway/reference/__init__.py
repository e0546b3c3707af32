"""The reference of everything clients can call and hear, generated from the contracts: OpenAPI, AsyncAPI, a page."""
