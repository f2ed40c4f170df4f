"""Viewers that people already use, fed with what is published: Foxglove and PlotJuggler. How a message looks to them
comes from ``views``, as for recordings; nothing here draws anything.
"""
