"""What a trial costs, beside other ways to get the same answer; they must agree, or the costs mean nothing."""
