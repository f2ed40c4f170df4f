"""What facts mean, in plain sentences. Pure: facts come in, findings go out."""
