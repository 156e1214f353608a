"""The ground floor: processes, locks, files, messages, errors, passwords; nothing here knows of autoencoders."""
