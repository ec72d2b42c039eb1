"""Print files: a photo's bytes in, a file for the lab's printer out."""
