"""Bridges to other toolkits and formats; each needs a package that `asmd` itself does not."""
