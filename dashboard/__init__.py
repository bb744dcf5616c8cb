"""The live dashboard: a Dash application on Redis; to try the models it asks the API."""
