"""Pages, charts and figures."""
