"""The scenario language: what is asked, as frozen models, and the loader that reads files into them."""
