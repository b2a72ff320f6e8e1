"""Who may call: client tokens (JWT), the keys they are checked with, and what each client may do."""
