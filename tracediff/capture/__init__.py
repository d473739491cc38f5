"""What happens while the user program runs: decorators, recorder, records, value snapshots, context."""
