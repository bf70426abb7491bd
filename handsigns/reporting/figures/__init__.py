"""Figures of the report: one Vega-Lite spec for page, SVG and PNG."""
