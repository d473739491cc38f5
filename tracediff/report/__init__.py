"""What people look at: graph pictures, prompt diffs, run reports. Everything is escaped; pages are self-contained."""
