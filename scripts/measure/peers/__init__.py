"""What others do for this job, as small and as fair as it can be written."""
