"""What facts mean, in plain sentences: facts come in, findings go out; nothing is ever found out here."""
