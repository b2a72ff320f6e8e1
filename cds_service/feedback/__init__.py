"""What clinicians answered to cards: read (body.py), kept and acted upon (memory.py), and told (report.py)."""
