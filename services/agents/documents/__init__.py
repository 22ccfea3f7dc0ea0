"""An agent as one document, to be kept elsewhere and made an agent of again, here or in another installation."""
