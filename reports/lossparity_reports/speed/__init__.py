"""The section *Speed* of the page: what was timed side by side, in tables and charts, and what that allows to say."""
