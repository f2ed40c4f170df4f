"""What finds out why nothing arrives, and says it in sentences; no message of a user ever passes through here."""
