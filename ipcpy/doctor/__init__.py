"""Why nothing arrives: what is found out, and what it means."""
