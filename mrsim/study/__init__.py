"""Many trials of one scenario: workers, statistics with their intervals, verdicts, results that can be kept."""
