"""
Tests for the room C{sockets}.
"""
