"""The doctor: examination.py leads, multicast.py and ways.py find facts out, judge/ says in sentences what they mean.

No message of a user ever passes through here.
"""
