"""From what was logged to runs: fields become columns, ends are picked, runs that are none are left out, every choice is said."""
