"""Making a text bundle: cleaned tweets, a Transformer encoder, an XGBoost head."""
