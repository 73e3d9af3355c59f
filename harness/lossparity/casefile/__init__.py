"""The strict reader of case files: YAML text to nodes, nodes to values, values to cases."""
