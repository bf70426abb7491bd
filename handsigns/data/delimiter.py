"""Delimiter of a CSV table that a user wrote."""


def find_delimiter(header: str) -> str:
    """Return the comma, semicolon or tab that separates the names of columns in the first line.

    Spreadsheets save with the separator of the user's language.
    """
    return max(",;\t", key=header.count)
