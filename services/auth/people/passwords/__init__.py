"""What passwords are made of, and what holds off guessing them."""
