"""The `sentistream` command, the embedded local stack and the producers."""
