"""Runner, results on disk, protocols, reports and submissions."""
