"""Attacks on what was released: is the guarantee kept in practice?"""
