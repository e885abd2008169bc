"""What papers ask of recorded runs beyond the headline numbers: one idea a file, pure functions of the record."""
