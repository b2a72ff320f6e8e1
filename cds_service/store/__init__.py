"""What outlives a request: cards shown, what clinicians answered, and tokens already used.

SQLite by default, PostgreSQL by URL; the tables are made and changed by the migrations beside this file.
"""
