"""Files and storage: whole writes, locks, event logs, object stores."""
