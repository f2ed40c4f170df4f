"""Parameters: the settings of a program that others see and change while it runs; a latched topic and a service.

Nothing here knows how a message or a call travels.
"""
