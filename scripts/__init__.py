"""What keeps parts of the project in step with what they are made from."""
