"""The REST API: predictions on request, events and corrections in, figures out."""
