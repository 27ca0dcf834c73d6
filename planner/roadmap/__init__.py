"""A roadmap: what to order when, over years of growth."""
