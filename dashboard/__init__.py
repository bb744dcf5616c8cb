"""The live dashboard: a Dash application that reads nothing but Redis."""
