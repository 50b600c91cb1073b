// Replaced as the process is written.
