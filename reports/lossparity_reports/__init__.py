"""Reports: a record made into pages for people and files for machines."""
