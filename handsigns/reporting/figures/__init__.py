"""The report's figures, one Vega-Lite description for page, SVG and PNG."""
