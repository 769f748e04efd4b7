"""Networks. Each module is one family and reads from top to bottom."""
