"""The networks that encoders are made of."""
