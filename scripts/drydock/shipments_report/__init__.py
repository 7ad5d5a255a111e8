"""The report: figures read from the tables, charts drawn of the figures, and the page that shows both."""
