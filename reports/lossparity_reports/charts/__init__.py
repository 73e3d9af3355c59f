"""The charts of the page: what each shows, its table, and its drawing by Vega-Lite."""
