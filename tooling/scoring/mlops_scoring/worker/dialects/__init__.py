"""The dialects that clients speak: each gives the routes of its protocol for one model."""
