"""Coverage-guided fuzzing of everything that reads bytes of customers: `make fuzz`."""
