"""
What must hold for any bytes.  Each target takes bytes and raises if it does not
hold; hypothesis and atheris think of the bytes.
"""
