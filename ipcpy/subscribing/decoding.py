"""How the messages of one publisher become what users get: which codec reads them, and what is said of bytes that none
takes. Knows codecs and bodies; nothing of order or of where messages go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..alarms import raise_alarm
from ..codec import ANY, MsgPack, Raw, reading_codec, variant
from ..codec.contract import library
from ..errors import CodecError, SchemaError
from ..graph import EndpointInfo
from ..log import get_logger
from ..protocol.data.batch import split, unpack_alike, unpack_batch
from ..protocol.wire import Frame
from ..typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..codec.codec import Codec

log = get_logger(__name__)

Decode = Callable[[Any], Any]
DecodeMany = Callable[[bytes, int], list[Any]]


def decoders(own: Codec | None, info: EndpointInfo) -> tuple[Decode, DecodeMany, tuple[str, ...]]:
    """Return what decodes one message of a publisher, and many, and how its types differ if nothing can be decoded.

    Args:
        own: the subscriber's own codec; None takes what the publisher's schema says.
    """
    try:
        codec = reading_codec(own, info.codec, info.schema)
    except SchemaError as error:
        mismatch = error.differences or (str(error),)
        log.warning("%s: the types of publisher %s differ: %s", info.topic, info.node.name, "; ".join(mismatch))
        return bytes, _each(bytes), mismatch
    structs = library()
    if structs is not None and type(codec) is structs:
        decode = codec.decoder()
    else:
        decode = variant(codec, "decode_intact", "decode") or codec.decode
    if not isinstance(codec, (MsgPack, Raw, structs or Raw)) and codec.name != ANY:
        decode = partial(_decode_copied, decode)
    return decode, variant(codec, "decode_many", "decode") or _each(decode), ()


def _each(decode: Decode) -> DecodeMany:
    return lambda data, size: list(map(decode, split(data, size)))


def _decode_copied(decode: Decode, body: Any) -> Any:
    """Decode with a codec of the user's, which is given bytes or a bytearray: few functions take a view of memory.

    Not so one named ``any``, which only hands bodies on.
    """
    return decode(bytearray(body) if type(body) is memoryview else body)


def log_undecodable(info: EndpointInfo, error: Exception, logged: set[str]) -> None:
    """Say that bytes could not be decoded, once for each publisher; ``logged`` has the ids of those it was said of."""
    if info.id in logged:
        return
    logged.add(info.id)
    if isinstance(error, CodecError):
        said = str(error)  # who keeps the record would keep the traceback, and by it the message
        log.warning("%s: a message of %s cannot be decoded: %s", info.topic, info.node.name, said)
    else:
        log.error("%s: the codec failed", info.topic, exc_info=error)


def decode_batch(frame: Frame, decode: Decode, decode_many: DecodeMany) -> tuple[list[Any], list[int]] | None:
    """Return the messages of a batch, and the bytes of each body; None if they have to be decoded one by one.

    Raises:
        Malformed: the frame is no batch.
    """
    alike = unpack_alike(frame.body)
    bodies = unpack_batch(frame.body) if alike is None else []
    try:
        if alike is None:
            sizes = list(map(len, bodies))
            return list(map(decode, bodies)), sizes
        values, (data, size) = decode_many(*alike), alike
        count = len(data) // size
        return (values, [size] * count) if len(values) == count else None
    except Exception as error:
        raise_alarm(error)
        return None
