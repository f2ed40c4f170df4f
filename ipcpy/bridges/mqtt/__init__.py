"""Topics at an MQTT broker: what they are called there, what a message says of itself, the connection. Knows aiomqtt,
and imports it when a bridge is started; nothing of what crosses and what does not, which is the core's.
"""
