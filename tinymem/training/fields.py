"""What the fields of stored configurations can say of themselves."""

ADDED_LATER = {"tinymem: added later": True}
"""metadata of a field with a default that older runs do not know: at its default it is not written, so they keep their names"""
