"""Speed and memory: backends timed side by side in one job, their results checked, their ratios judged."""
