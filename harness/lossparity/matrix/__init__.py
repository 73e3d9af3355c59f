"""The same suite over versions of frameworks, Pythons, devices and threads: `lossparity matrix`."""
