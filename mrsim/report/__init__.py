"""What a person sees: text, stories of single trials, pictures and notebook representations."""
