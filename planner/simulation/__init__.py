"""What then happens: the cascade, vectorised over scenarios, and its verdict."""
