"""Adapters: one module a framework."""
