"""Files and storage: atomic writes, locks, event logs, object stores."""
